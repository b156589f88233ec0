"""Vectors from categories: genres, brands, tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config
from p5core.contracts.encoder import Encoder, Features, RowLabels
from p5core.data.catalogue import Entities
from p5plugins.encoders.columns import feature_columns

__all__ = ["Categories", "CategoriesConfig"]


class CategoriesConfig(Config):
    """Options of the category encoder."""

    columns: list[str] = Field(min_length=1)
    """Categorical columns; a cell holds one value, a list, or separated text."""

    separator: str = Field("|", min_length=1)
    """Separator of several values in a text, such as "Action|Comedy"."""


class Categories(Encoder):
    """Mean of learned vectors of an entity's categories, per column and over columns.

    A cell without a value gets a vector of its own, "missing", one a column. Values of the items lie one after the
    other in one array, so memory follows the number of values and not the longest list.
    """

    name = "categories"
    Config = CategoriesConfig
    encodes = ("item", "user")

    offsets: Tensor
    """(V + 1,) where the values of each item begin"""

    values: Tensor
    """(n_values,) row of the embedding"""

    weights: Tensor
    """(n_values,) share of the value in the vector of its item"""

    @classmethod
    def features(cls, config: CategoriesConfig, entities: Entities) -> Features:
        """The values of each entity, one after the other, and the different values."""
        columns = feature_columns(entities, config.columns, cls.name)
        rows, labels, shares = _entries(columns, config.separator)
        values, names = pd.factorize(labels)
        order = np.argsort(rows, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(entities)))])
        arrays: dict[str, npt.NDArray[Any]] = {
            "offsets": offsets.astype(np.int64),
            "values": values[order].astype(np.int64),
            "weights": shares[order].astype(np.float32),
        }
        return Features(len(entities), arrays, {"values": names.tolist()})

    def __init__(self, config: CategoriesConfig, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self._labels = list(features.labels["values"])
        for name in ("offsets", "values", "weights"):  # features are stored apart from the weights
            self.register_buffer(name, features.tensor(name), persistent=False)
        self.embedding = nn.Embedding(len(self._labels), width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, codes: Tensor) -> Tensor:
        """Average the values of codes (N,) → vectors (N, D)."""
        begins = self.offsets[codes]  # (N,)
        lengths = self.offsets[codes + 1] - begins
        bags = lengths.cumsum(0) - lengths
        # Value j of item n lies at begins[n] + j and comes at bags[n] + j.
        places = torch.repeat_interleave(begins - bags, lengths)
        places = places + torch.arange(len(places), device=codes.device)
        weight = self.embedding.weight
        shares = self.weights[places].to(weight.dtype)
        return F.embedding_bag(self.values[places], weight, bags, mode="sum", per_sample_weights=shares)

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One row a value."""
        return {"embedding.weight": self._labels}


def _entries(
    columns: Mapping[str, pd.Series], separator: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """Item code, label and weight of each value, three arrays of equal length."""
    items: list[int] = []
    labels: list[str] = []
    shares: list[float] = []
    for name, cells in columns.items():
        for item, cell in enumerate(cells.tolist()):
            entries = [f"{name}={value}" for value in _split(cell, separator)] or [f"{name} is missing"]
            items += [item] * len(entries)
            labels += entries
            shares += [1 / (len(entries) * len(columns))] * len(entries)
    return np.array(items, dtype=np.int64), np.array(labels, dtype=object), np.array(shares)


def _split(cell: Any, separator: str) -> list[str]:
    """The different values of a cell, as text."""
    if isinstance(cell, str):
        parts: Iterable[Any] = cell.split(separator)
    elif isinstance(cell, Iterable):
        parts = cell
    else:
        parts = [cell]
    texts = [_text(part) for part in parts]
    return list(dict.fromkeys(text for text in texts if text))


def _text(value: Any) -> str:
    """A value as text, "" when it is missing; 3.0 reads "3", because one missing number makes a column of floats."""
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
