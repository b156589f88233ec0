"""The bidirectional transformer."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from p5core.parts.backbone import Backbone
from p5plugins.backbones.blocks import Transformer, TransformerConfig

__all__ = ["BERT"]


class BERT(Backbone):
    """A transformer in which each position sees the whole history (BERT4Rec, arXiv 1904.06690)."""

    name = "bert"
    Config = TransformerConfig
    causal = False

    def __init__(self, config: TransformerConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.transformer = Transformer(config, width, max_length, causal=False)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states from the real positions."""
        # The first place is always visible: attention over nothing would be 0 / 0 for an empty history.
        first = torch.arange(real.shape[1], device=real.device) == 0
        return cast("Tensor", self.transformer(vectors, real | first))
