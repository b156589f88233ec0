"""Pre-norm transformer blocks, whose attention exports to ONNX and stays finite whatever is masked."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config import Config
from p5core.errors import ConfigError

__all__ = ["SelfAttention", "Transformer", "TransformerConfig"]


class TransformerConfig(Config):
    """Options of a transformer."""

    n_layers: int = Field(2, ge=1)
    """Blocks on top of each other."""

    n_heads: int = Field(2, ge=1)
    """Attention heads; they share the width evenly."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of attention weights and of each block's outputs that is dropped while training."""

    feedforward: float = Field(4.0, gt=0)
    """Width inside the feed-forward layers, as a multiple of the model's width."""


class Transformer(nn.Module):
    """Learned positions, blocks, and a last LayerNorm: (B, T, D) → (B, T, D)."""

    def __init__(self, config: TransformerConfig, width: int, max_length: int, *, causal: bool) -> None:
        """Build it; raises ConfigError when the heads cannot share the width."""
        super().__init__()
        self.positions = nn.Embedding(max_length, width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config, width, causal) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.apply(_initialise)

    def forward(self, vectors: Tensor, visible: Tensor | None = None) -> Tensor:
        """Compute states (B, T, D); `visible` (B, T) bool says which positions may be attended to, None says all."""
        places = torch.arange(vectors.shape[1], device=vectors.device)
        states = self.dropout(vectors + self.positions(places))
        for block in self.blocks:
            states = block(states, visible)
        return cast("Tensor", self.norm(states))


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention (arXiv 1706.03762) of positions to each other."""

    def __init__(self, width: int, n_heads: int, dropout: float, *, causal: bool) -> None:
        """Build it; raises ConfigError when the heads cannot share the width."""
        super().__init__()
        if width % n_heads:
            raise ConfigError(
                f"model.width {width} cannot be shared by {n_heads} attention heads. "
                f"Choose a multiple of {n_heads}, or another n_heads."
            )
        self.n_heads = n_heads
        self.dropout = dropout
        self.causal = causal
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, states: Tensor, visible: Tensor | None = None) -> Tensor:
        """Mix states (B, T, D) over the positions that are `visible` (B, T) bool, and not later if causal."""
        heads = self.project_in(states).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)  # (B, H, T, D / H) each
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if visible is None else visible[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        return cast("Tensor", self.project_out(mixed.transpose(1, 2).flatten(2)))  # (B, T, D)


class _Block(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added to what came in (arXiv 2002.04745)."""

    def __init__(self, config: TransformerConfig, width: int, causal: bool) -> None:
        super().__init__()
        inner = max(1, round(config.feedforward * width))
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.n_heads, config.dropout, causal=causal)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, visible: Tensor | None) -> Tensor:
        states = states + self.dropout(self.attention(self.attention_norm(states), visible))
        return states + cast("Tensor", self.dropout(self.feedforward(states)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
