"""Item vectors from what items have in common: genres, brands, tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config
from p5core.contracts.encoder import Encoder
from p5core.data.catalogue import Catalogue
from p5plugins.encoders.columns import feature_columns

__all__ = ["Categories", "CategoriesConfig"]


class CategoriesConfig(Config):
    """Options of the category encoder."""

    columns: list[str] = Field(min_length=1)
    """Columns of the items table; each cell holds a list, a text of several values, or one value."""

    separator: str = Field("|", min_length=1)
    """What stands between the values of a text, such as "Action|Comedy"."""


class Categories(Encoder):
    """The mean of the vectors of an item's values: over the values of each column, then over the columns.

    A cell without a value gets a vector of its own, "missing", one a column. Values of the items lie one after the
    other in one array, so memory follows the number of values and not the longest list.
    """

    name = "categories"
    Config = CategoriesConfig

    offsets: Tensor
    """(V + 1,) where the values of each item begin"""

    values: Tensor
    """(n_values,) row of the embedding"""

    weights: Tensor
    """(n_values,) share of the value in the vector of its item"""

    def __init__(self, config: CategoriesConfig, catalogue: Catalogue, width: int) -> None:
        super().__init__(config, catalogue, width)
        columns = feature_columns(catalogue, config.columns, self.name)
        items, labels, shares = _entries(columns, config.separator)
        values, names = pd.factorize(labels)
        order = np.argsort(items, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=self.n_items))])
        self._labels: list[str] = names.tolist()
        # The content is read from the catalogue anew whenever the encoder is built, so it is not stored with weights.
        self.register_buffer("offsets", torch.from_numpy(offsets.astype(np.int64)), persistent=False)
        self.register_buffer("values", torch.from_numpy(values[order].astype(np.int64)), persistent=False)
        self.register_buffer("weights", torch.from_numpy(shares[order].astype(np.float32)), persistent=False)
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

    def row_labels(self) -> Mapping[str, Sequence[str]]:
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
            found = [f"{name}={value}" for value in _split(cell, separator)] or [f"{name} is missing"]
            items += [item] * len(found)
            labels += found
            shares += [1 / (len(found) * len(columns))] * len(found)
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
