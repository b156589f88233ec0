"""Starting from the weights of another network, with another catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from p5core.errors import ConfigError
from p5core.model.network import Network

__all__ = ["warm_start"]

OWN = ("table.counts", "memory.")
"""What is counted from a network's own training events."""


def warm_start(network: Network, weights: Mapping[str, Tensor], labels: Mapping[str, Sequence[str]]) -> None:
    """Copy `weights`, whose growing tables have the row `labels`, into a network.

    Rows of equal label keep their values, new rows start from the mean of the old ones (so a new item stands where its
    content puts it). The counts and the memory stay those of the network's own data; a head that only one of the two
    has is left out. Raises ConfigError when the two networks are of different shape.
    """
    current = network.state_dict()
    wanted = network.row_labels()
    missing = sorted(name for name in current if name not in weights and not _optional(name))
    if missing:
        raise ConfigError(
            f"The weights to start from lack '{missing[0]}': the stored run was made with another [model] section. "
            "Use the same encoders and backbone."
        )
    for name, new in current.items():
        if name in weights and not name.startswith(OWN):
            grown = _grown(name, new, weights[name], labels, wanted)
            if grown.shape != new.shape:
                raise ConfigError(
                    f"'{name}' has shape {tuple(weights[name].shape)} in the weights to start from and "
                    f"{tuple(new.shape)} here. Use the same [model] section as the stored run."
                )
            new.copy_(grown)


def _optional(name: str) -> bool:
    return name.startswith((*OWN, "rating_head."))


def _grown(
    name: str, new: Tensor, old: Tensor, labels: Mapping[str, Sequence[str]], wanted: Mapping[str, Sequence[str]]
) -> Tensor:
    if name not in wanted or name not in labels:
        return old
    places = torch.from_numpy(pd.Index(labels[name]).get_indexer(pd.Index(wanted[name])).astype(np.int64))
    known = (places >= 0).view(-1, *[1] * (old.dim() - 1))
    start = old.mean(dim=0, keepdim=True) if old.is_floating_point() else old[:1]
    return torch.where(known, old[places.clamp_min(0)], start).to(new.dtype)
