"""The bidirectional transformer."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5plugins.backbones.blocks import Transformer, TransformerConfig, with_first

__all__ = ["BERT"]


class BERT(Backbone):
    """Bidirectional transformer (BERT4Rec, arXiv 1904.06690)."""

    name = "bert"
    Config = TransformerConfig
    causal = False

    def __init__(self, config: TransformerConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.transformer = Transformer(config, width, max_length, causal=False)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states from the real positions."""
        return cast("Tensor", self.transformer(vectors, with_first(real)))

    def state_at(self, vectors: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """Compute one state a row."""
        return self.transformer.state_at(vectors, with_first(real), places)
