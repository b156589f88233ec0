"""The causal transformer."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5plugins.backbones.blocks import Transformer, TransformerConfig, with_first

__all__ = ["GPT"]


class GPT(Backbone):
    """Causal transformer (SASRec, arXiv 1808.09781)."""

    name = "gpt"
    Config = TransformerConfig
    causal = True
    is_default = True

    def __init__(self, config: TransformerConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.transformer = Transformer(config, width, max_length, causal=True)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states; padding lies behind the real positions, so it needs no mask of its own."""
        return cast("Tensor", self.transformer(vectors))

    def state_at(self, vectors: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """Compute one state a row."""
        return self.transformer.state_at(vectors, with_first(real), places)
