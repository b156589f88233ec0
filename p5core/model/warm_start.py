"""Warm start from the weights of a network with another catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from p5core.contracts.encoder import RowLabels
from p5core.data.catalogue import Users
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError
from p5core.model.item_embeddings import EntityEmbeddings
from p5core.model.network import Network

__all__ = ["COUNTS", "TASKS", "Source", "entity_index", "warm_start"]

COUNTS = "items.counts"
"""Counted from a network's own training events."""

TASKS = "tasks."


@dataclass(frozen=True, eq=False)
class Source:
    """Weights to start from."""

    weights: Mapping[str, Tensor]
    row_labels: Mapping[str, RowLabels]
    entities: Mapping[str, pd.Index[Any]]
    """"item" and "user" → labels of the rows of tensors that have one for each"""


def entity_index(dataset: Dataset) -> dict[str, pd.Index[Any]]:
    """Labels of the items and users of a data set."""
    return {"item": dataset.catalogue.index, "user": Users(dataset.user_frame).index}


def warm_start(network: Network | EntityEmbeddings, entities: Mapping[str, pd.Index[Any]], source: Source) -> None:
    """Copy weights into a network, or into embeddings, whose items and users have the labels `entities`.

    Rows of equal label keep their values, new rows start from the mean of the old ones (so a new item stands where its
    content puts it). The counts stay those of the network's own data; layers of a task that only one of the two has
    are left out. Raises ConfigError when the two networks are of different shape.
    """
    current, labels = network.state_dict(), network.row_labels()
    missing = sorted(name for name in current if name not in source.weights and not name.startswith((COUNTS, TASKS)))
    if missing:
        raise ConfigError(
            f"The weights to start from lack '{missing[0]}': the stored run was made with another [model] section. "
            "Use the same encoders and backbone."
        )
    for name, new in current.items():
        if name in source.weights and name != COUNTS:
            old = source.weights[name].to(new.device)
            grown = _grown(old, _index(name, source.row_labels, source.entities), _index(name, labels, entities))
            if grown.shape != new.shape:
                raise ConfigError(
                    f"'{name}' has shape {tuple(old.shape)} in the weights to start from and {tuple(new.shape)} here. "
                    "Use the same [model] section as the stored run."
                )
            new.copy_(grown)


def _index(name: str, labels: Mapping[str, RowLabels], entities: Mapping[str, pd.Index[Any]]) -> pd.Index[Any] | None:
    """The labels of the rows of a tensor; None when it does not grow."""
    rows = labels.get(name)
    if rows is None:
        return None
    return entities[rows] if isinstance(rows, str) else pd.Index(rows)


def _grown(old: Tensor, old_index: pd.Index[Any] | None, new_index: pd.Index[Any] | None) -> Tensor:
    """The rows `new_index` of a tensor with the rows `old_index`; new rows are the mean of the old ones."""
    if old_index is None or new_index is None:
        return old
    places = torch.from_numpy(old_index.get_indexer(new_index).astype(np.int64)).to(old.device)
    is_known = (places >= 0).view(-1, *[1] * (old.dim() - 1))
    start = old.mean(dim=0, keepdim=True) if old.is_floating_point() else old[:1]
    return torch.where(is_known, old[places.clamp_min(0)], start).to(old.dtype)
