"""The base of encoders that map frozen vectors into the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from p5core.contracts.encoder import Encoder, Features, RowLabels

__all__ = ["ProjectedVectors"]


class ProjectedVectors(Encoder):
    """Linear map of the frozen `vectors` among the features; an entity without one has a learned vector.

    The map starts as the identity, so that an untrained item vector is the frozen one, cut to the width of the model: a
    causal `filter` backbone then starts as the neighbours of a history by content, those of newer items first.
    """

    encodes = ("item", "user")

    vectors: Tensor
    """(V, d) of length 1, or zero where nothing is known"""

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.register_buffer("vectors", features.tensor("vectors"), persistent=False)
        self.weight = nn.Parameter(torch.eye(self.vectors.shape[1], width))
        self.missing = nn.Parameter(torch.empty(width).normal_(std=0.02))

    def forward(self, codes: Tensor) -> Tensor:
        """Project the vectors of codes (N,) → vectors (N, D)."""
        vectors = self.vectors[codes].to(self.weight.dtype)  # (N, d)
        is_missing = (vectors == 0).all(dim=1, keepdim=True)
        return vectors @ self.weight + is_missing * self.missing

    @classmethod
    def shared(cls, features: Features) -> Features:
        """Everything but the vectors, such as words and whitening."""
        arrays = {name: array for name, array in features.arrays.items() if name != "vectors"}
        return Features(0, arrays, features.labels, features.about)

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One row a direction of the frozen vectors, which a later catalogue keeps."""
        return {"weight": [str(nth) for nth in range(self.vectors.shape[1])]}
