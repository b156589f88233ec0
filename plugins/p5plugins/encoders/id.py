"""Vectors of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from p5core.contracts.encoder import Encoder, EntityKind, Features, RowLabels
from p5core.data.catalogue import Entities, Users

__all__ = ["IdEmbedding"]


class IdEmbedding(Encoder):
    """A learned vector per item or user, initialised from N(0, 0.02)."""

    name = "id"
    encodes = ("item", "user")
    is_default = True

    _kind: EntityKind

    @classmethod
    def features(cls, config: Any, entities: Entities) -> Features:
        """The kind of the entities; their ids are known by their order."""
        kind = "user" if isinstance(entities, Users) else "item"
        return Features(len(entities), about={"kind": kind})

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.embedding = nn.Embedding(self.n_rows, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self._kind = "user" if features.about.get("kind") == "user" else "item"

    def forward(self, codes: Tensor) -> Tensor:
        """Look up codes (N,) → vectors (N, D)."""
        return cast("Tensor", self.embedding(codes))

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One row an entity."""
        return {"embedding.weight": self._kind}
