"""Dilated causal convolutions over the history."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core import Backbone, Config, Tunable

__all__ = ["Convolutions", "ConvolutionsConfig"]


class ConvolutionsConfig(Config):
    """Options of the convolutional backbone."""

    n_layers: int = Field(2, ge=1)
    """Number of layers; each doubles the dilation."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.0, ge=0, lt=1)
    """Dropout probability of layer outputs."""


class Convolutions(Backbone):
    """Dilated causal convolutions (NextItNet, arXiv 1808.05163)."""

    name = "tcn"
    Config = ConvolutionsConfig
    config: ConvolutionsConfig
    causal = True

    def setup(self) -> None:
        self.layers = nn.ModuleList(
            nn.Conv1d(self.width, self.width, 2, dilation=2**nth) for nth in range(self.config.n_layers)
        )
        self.dropout = nn.Dropout(self.config.dropout)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        states = vectors * real[..., None]
        for nth, layer in enumerate(self.layers):
            padded = F.pad(states.transpose(1, 2), (2**nth, 0))
            states = states + self.dropout(F.relu(layer(padded).transpose(1, 2)))
        return states
