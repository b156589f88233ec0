"""Finding feature columns of the items table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError, did_you_mean

__all__ = ["feature_columns"]


def feature_columns(catalogue: Catalogue, names: Sequence[str], encoder: str) -> dict[str, pd.Series]:
    """The columns `names`, each once; raises ConfigError with the columns there are."""
    known = catalogue.features
    for name in names:
        if name not in known:
            listed = f"Found: {', '.join(known)}." if known else "It has no feature columns: load an items table."
            raise ConfigError(
                f"Encoder '{encoder}': items have no column '{name}'.{did_you_mean(name, known)} {listed}"
            )
    return {name: catalogue.frame[name] for name in names}
