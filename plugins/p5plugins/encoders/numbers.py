"""Vectors from numbers: price, year, length."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config
from p5core.contracts.encoder import Encoder, Features, RowLabels
from p5core.data.catalogue import Entities
from p5core.errors import DataError
from p5plugins.encoders.columns import feature_columns

__all__ = ["Numbers", "NumbersConfig"]

LIMIT = 5.0
"""Values further from the median count as this many scales, so that one wrong price does not drown the others."""

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of the standard normal distribution."""


class NumbersConfig(Config):
    """Options of the number encoder."""

    columns: list[str] = Field(min_length=1)
    """Numeric columns of the items or users table."""


class Numbers(Encoder):
    """Linear map of standardised numeric columns and of missing-value flags.

    A number x becomes (x - median) / scale, within ±5; a missing one becomes the median and its flag 1. The scale is
    the distance between the quartiles over 1.349 (the standard deviation, for a normal distribution), the standard
    deviation where the quartiles coincide, and 1 for a constant column, which then says nothing but its flag.
    """

    name = "numbers"
    Config = NumbersConfig
    encodes = ("item", "user")

    numbers: Tensor
    """(V, C) as loaded, NaN where missing"""

    median: Tensor
    """(C,)"""

    scale: Tensor
    """(C,)"""

    @classmethod
    def features(cls, config: NumbersConfig, entities: Entities) -> Features:
        """The numbers, and the median and scale of each column."""
        columns = feature_columns(entities, config.columns, cls.name)
        ids = entities.frame.iloc[:, 0]
        table = np.stack([_numbers(name, cells, ids) for name, cells in columns.items()], axis=1)  # (V, C)
        statistics = np.array([_statistics(column) for column in table.T]).astype(np.float32)
        arrays = {"numbers": table.astype(np.float32), "median": statistics[:, 0], "scale": statistics[:, 1]}
        return Features(len(entities), arrays, {"columns": list(columns)})

    def __init__(self, config: NumbersConfig, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self._labels = list(features.labels["columns"])
        self.register_buffer("numbers", features.tensor("numbers"), persistent=False)
        self.register_buffer("median", features.tensor("median"))
        self.register_buffer("scale", features.tensor("scale"))
        self.weight = nn.Parameter(torch.empty(2 * len(self._labels), width).normal_(std=0.02))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, codes: Tensor) -> Tensor:
        """Standardise and project the numbers of codes (N,) → vectors (N, D)."""
        numbers = self.numbers[codes]  # (N, C)
        missing = numbers.isnan()
        scaled = ((numbers - self.median) / self.scale).clamp(-LIMIT, LIMIT)
        inputs = torch.cat([scaled.masked_fill(missing, 0.0), missing.to(scaled.dtype)], dim=1)  # (N, 2C)
        return inputs @ self.weight + self.bias

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One row a column, and one more for its flag; numbers of a later catalogue keep the scale of the first."""
        flags = [f"{name} is missing" for name in self._labels]
        return {"weight": self._labels + flags, "median": self._labels, "scale": self._labels}


def _numbers(name: str, cells: pd.Series, ids: pd.Series) -> npt.NDArray[np.float64]:
    """(V,) one column, NaN where missing; raises DataError with the item whose value is no finite number."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    present = cells.notna().to_numpy() & (cells.astype("str").str.strip() != "").to_numpy()
    wrong = (present & np.isnan(numbers)) | np.isinf(numbers)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(
            f"Column '{name}' holds '{cells.iloc[place]}' for '{ids.iloc[place]}', which is "
            "no finite number. Correct it or leave it empty, or use the encoder 'categories'."
        )
    if np.isnan(numbers).all():
        raise DataError(f"Column '{name}' holds no number at all. Leave it out of the encoder.")
    return numbers


def _statistics(column: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median and scale of the numbers that are there."""
    low, median, high = np.nanquantile(column, [0.25, 0.5, 0.75])
    spread = (high - low) / NORMAL_QUARTILES or float(np.nanstd(column))
    return float(median), float(spread) or 1.0
