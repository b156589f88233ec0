"""Causal pooling of the history, then layers."""

from __future__ import annotations

from typing import Annotated, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.model.dropout import Dropout

__all__ = ["MLP", "MLPConfig"]


class MLPConfig(Config):
    """Options of the multi-layer perceptron."""

    n_layers: Annotated[int, Tunable(1, 4)] = Field(2, ge=1, le=256)
    """Number of hidden layers."""

    n_means: Annotated[int, Tunable(1, 4)] = Field(2, ge=1, le=64)
    """Number of history means, each with a learned decay."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of hidden layers."""


class MLP(Backbone):
    """Multi-layer perceptron over the last item and decayed means of the history.

    Mean m at position t is Σ_{i ≤ t} exp(-rate_m (t - i)) x_i, divided by the sum of its weights. Layers over a mean
    of the history come from YouTube's candidate generator (doi 10.1145/2959100.2959190), which has no decay.
    """

    name = "mlp"
    Config = MLPConfig
    causal = True

    def __init__(self, config: MLPConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        # softplus of these is the rate: from half-lives of about one item to means of nearly the whole history.
        self.rates = nn.Parameter(torch.linspace(0.0, -4.0, config.n_means))
        self.mix = nn.Linear((1 + config.n_means) * width, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), Dropout(config.dropout))
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states; padding lies behind the real positions, so no mean reaches it."""
        means = torch.einsum("mts,bsd->btmd", self._weights(vectors), vectors).flatten(2)  # (B, T, M · D)
        states = self.mix(torch.cat([vectors, means], dim=-1))  # (B, T, D)
        for layer in self.layers:
            states = states + layer(states)
        return cast("Tensor", self.norm(states))

    def _weights(self, vectors: Tensor) -> Tensor:
        """(M, T, T) what position s counts in mean m at position t; rows sum to 1."""
        places = torch.arange(vectors.shape[1], device=vectors.device)
        ages = places[:, None] - places  # (T, T)
        decayed = torch.exp(-F.softplus(self.rates)[:, None, None] * ages.clamp_min(0)) * (ages >= 0)
        return decayed / decayed.sum(dim=-1, keepdim=True)
