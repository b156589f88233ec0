"""The contract of item encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from p5core.contracts.part import Part
from p5core.data.catalogue import Catalogue

__all__ = ["Encoder"]


class Encoder(Part, nn.Module, ABC):
    """Turns items into vectors from their ids or their content.

    An encoder reads what it needs from the catalogue when it is built and keeps it in buffers, so that item codes are
    all it is asked with later.
    """

    def __init__(self, config: Any, catalogue: Catalogue, width: int) -> None:
        nn.Module.__init__(self)
        Part.__init__(self, config)
        self.n_items = len(catalogue)
        self.width = width

    @abstractmethod
    def forward(self, codes: Tensor) -> Tensor:
        """Encode items: codes (N,) int64 in 0..V-1 → vectors (N, D)."""

    def row_labels(self) -> Mapping[str, Sequence[str]]:
        """Name the rows of parameters and buffers whose first axis grows with the data.

        Keys are state-dict names, values one label a row. When training goes on with another catalogue, rows of equal
        label keep their values and new rows start from the mean of the old ones; everything else must keep its shape.
        """
        return {}
