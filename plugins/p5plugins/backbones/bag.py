"""Pooling of the history whatever its order, then layers."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.model.dropout import Dropout

__all__ = ["Bag", "BagConfig"]


class BagConfig(Config):
    """Options of a network over sets of items."""

    n_layers: Annotated[int, Tunable(1, 4)] = Field(1, ge=0, le=256)
    """Number of hidden layers."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of hidden layers."""


class Bag(Backbone):
    """Mean of the items of a history, whose order is not read, then layers (Mult-DAE, arXiv 1802.05814).

    With the task `masked_item` it finds hidden items from the others: a denoising autoencoder with a softmax over the
    catalogue, for data without order.
    """

    name = "bag"
    Config = BagConfig
    causal = False
    reads_order = False

    def __init__(self, config: BagConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.first = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.Tanh(), Dropout(config.dropout), nn.Linear(width, width))
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Give every position the same state."""
        shares = real / real.sum(dim=1, keepdim=True).clamp_min(1)  # (B, T)
        states = self.first((vectors * shares[..., None].to(vectors.dtype)).sum(dim=1))  # (B, D)
        for layer in self.layers:
            states = states + layer(states)
        return cast("Tensor", self.norm(states)[:, None].expand_as(vectors))
