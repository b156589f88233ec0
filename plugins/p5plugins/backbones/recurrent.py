"""Recurrent networks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Choices, Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.model.dropout import Dropout
from p5plugins.backbones.blocks import SelfAttention

__all__ = ["GRU", "LSTM", "RecurrentConfig"]


class RecurrentConfig(Config):
    """Options of a recurrent network."""

    n_layers: Annotated[int, Tunable(1, 3)] = Field(1, ge=1, le=256)
    """Number of recurrent layers."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of layer outputs."""

    attention: Annotated[bool, Choices((False, True))] = False
    """Add attention over all earlier states."""


class _Recurrent(Backbone):
    """Encoder (recurrent layers), optionally attention over its states, then a decoder layer.

    The initial state is left to its default and sequences are not packed: both would keep the length from being
    dynamic in ONNX. Padding lies behind the real positions, so no state of a real position has seen it.
    """

    Config = RecurrentConfig
    causal = True

    layer: ClassVar[type[nn.GRU] | type[nn.LSTM]]

    def __init__(self, config: RecurrentConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        options: dict[str, Any] = {"num_layers": config.n_layers, "batch_first": True}
        between = config.dropout if config.n_layers > 1 else 0.0
        self.encoder = self.layer(width, width, dropout=between, **options)
        self.attention = SelfAttention(width, 1, config.dropout, causal=True) if config.attention else None
        self.decoder = nn.Linear(2 * width if config.attention else width, width)
        self.dropout = Dropout(config.dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Read the history from its first item on."""
        states = self.dropout(_same_length(self._encoded(vectors), vectors))  # (B, T, D)
        if self.attention is not None:
            states = torch.cat([states, self.attention(states)], dim=-1)  # (B, T, 2D)
        return cast("Tensor", self.norm(self.decoder(states)))

    def _encoded(self, vectors: Tensor) -> Tensor:
        if vectors.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return cast("Tensor", self.encoder(vectors)[0])
        with torch.autocast("cpu", enabled=False):  # processors without AVX-512 have no LSTM in bfloat16
            return cast("Tensor", self.encoder(vectors.float())[0])


class GRU(_Recurrent):
    """Gated recurrent units (GRU4Rec, arXiv 1511.06939; with attention: NARM, arXiv 1711.04725)."""

    name = "gru"
    layer = nn.GRU


class LSTM(_Recurrent):
    """Long short-term memory (doi 10.1162/neco.1997.9.8.1735; attention: arXiv 1409.0473)."""

    name = "lstm"
    layer = nn.LSTM


def _same_length(states: Tensor, vectors: Tensor) -> Tensor:
    """Tell an export that `states` are as long as `vectors`: it takes the example's length of a loop for fixed."""
    if not torch.compiler.is_exporting():
        return states
    return states.index_select(1, torch.arange(vectors.shape[1], device=vectors.device))
