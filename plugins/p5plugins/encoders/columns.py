"""Finding feature columns of the items or users table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from p5core.data.catalogue import Entities, Users
from p5core.errors import ConfigError, did_you_mean

__all__ = ["feature_columns"]


def feature_columns(entities: Entities, names: Sequence[str], encoder: str) -> dict[str, pd.Series]:
    """The columns `names`, each once; raises ConfigError with the columns there are."""
    available = entities.features
    kind = "users" if isinstance(entities, Users) else "items"
    for name in names:
        if name not in available:
            listed = (
                f"Found: {', '.join(available)}."
                if available
                else f"It has no feature columns: load a table of {kind}."
            )
            raise ConfigError(
                f"Encoder '{encoder}': {kind} have no column '{name}'.{did_you_mean(name, available)} {listed}"
            )
    return {name: entities.frame[name] for name in names}
