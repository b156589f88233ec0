"""Item vectors that stand for nothing but the id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from p5core.contracts.encoder import Encoder
from p5core.data.catalogue import Catalogue

__all__ = ["IdEmbedding"]


class IdEmbedding(Encoder):
    """A free vector for each item, learnt from events alone; starts from N(0, 0.02)."""

    name = "id"

    def __init__(self, config: Any, catalogue: Catalogue, width: int) -> None:
        super().__init__(config, catalogue, width)
        self.embedding = nn.Embedding(self.n_items, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self._labels = catalogue.labels

    def forward(self, codes: Tensor) -> Tensor:
        """Look up codes (N,) → vectors (N, D)."""
        return cast("Tensor", self.embedding(codes))

    def row_labels(self) -> Mapping[str, Sequence[str]]:
        """One row an item."""
        return {"embedding.weight": self._labels}
