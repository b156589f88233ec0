"""Pre-norm transformer blocks, whose attention exports to ONNX and stays finite whatever is masked."""

from __future__ import annotations

from typing import Annotated, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Choices, Config, Tunable
from p5core.contracts.backbone import select_states
from p5core.errors import ConfigError
from p5core.model.dropout import Dropout

__all__ = ["SelfAttention", "Transformer", "TransformerConfig", "with_first"]


class TransformerConfig(Config):
    """Options of a transformer."""

    n_layers: Annotated[int, Tunable(1, 4)] = Field(2, ge=1, le=256)
    """Number of blocks."""

    n_heads: Annotated[int, Choices((1, 2, 4))] = Field(2, ge=1, le=1024)
    """Number of attention heads; must divide the width."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of attention weights and block outputs."""

    feedforward: float = Field(4.0, gt=0, le=64)
    """Hidden dimension of feed-forward layers, as a multiple of the model width."""


class Transformer(nn.Module):
    """Learned positions, blocks, and a last LayerNorm: (B, T, D) → (B, T, D)."""

    def __init__(self, config: TransformerConfig, width: int, max_length: int, *, causal: bool) -> None:
        """Build it; raises ConfigError when the heads cannot share the width."""
        super().__init__()
        self.positions = nn.Embedding(max_length, width)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config, width, causal) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.apply(_initialise)

    def forward(self, vectors: Tensor, visible: Tensor | None = None) -> Tensor:
        """Compute states (B, T, D); `visible` (B, T) bool says which positions may be attended to, None says all."""
        states = self._placed(vectors)
        for block in self.blocks:
            states = block(states, visible)
        return cast("Tensor", self.norm(states))

    def state_at(self, vectors: Tensor, visible: Tensor, places: Tensor) -> Tensor:
        """(B, D) the states at `places` (B,): the last block asks for nothing else.

        `visible` (B, T) bool are the positions that these places may attend to.
        """
        states = self._placed(vectors)
        *earlier, last = self.blocks
        for block in earlier:
            states = block(states, visible)
        return cast("Tensor", self.norm(cast("_Block", last).state_at(states, visible, places)))

    def _placed(self, vectors: Tensor) -> Tensor:
        places = torch.arange(vectors.shape[1], device=vectors.device)
        return cast("Tensor", self.dropout(vectors + self.positions(places)))


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
        query, key, value = self._heads(self.project_in(states), 3)
        mask = None if visible is None else visible[:, None, None, :]
        if torch.compiler.is_exporting():
            mixed = _attention(query, key, value, mask, self.causal)
        else:
            dropout = self.dropout if self.training else 0.0
            # A causal triangle hides padding as well: it lies behind the real positions.
            mask = None if self.causal else mask
            mixed = F.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=self.causal)
        return cast("Tensor", self.project_out(mixed.transpose(1, 2).flatten(2)))  # (B, T, D)

    def state_at(self, states: Tensor, visible: Tensor, places: Tensor) -> Tensor:
        """(B, D) what `forward` gives at `places` (B,), each the last that its row may see."""
        width = states.shape[-1]
        weight, bias = self.project_in.weight, self.project_in.bias
        (query,) = self._heads(F.linear(select_states(states, places)[:, None], weight[:width], bias[:width]), 1)
        key, value = self._heads(F.linear(states, weight[width:], bias[width:]), 2)
        mixed = _attention(query, key, value, visible[:, None, None, :], is_causal=False)  # (B, H, 1, D / H)
        return cast("Tensor", self.project_out(mixed.transpose(1, 2).flatten(1)))

    def _heads(self, projected: Tensor, n: int) -> tuple[Tensor, ...]:
        """`n` tensors (B, H, T, D / H) of one (B, T, n · D)."""
        shape = (*projected.shape[:-1], n, self.n_heads, -1)
        return tuple(projected.view(shape).permute(2, 0, 3, 1, 4).unbind(0))


def _attention(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, is_causal: bool) -> Tensor:
    """Attention in plain products: exported, it is half as many operations as scaled_dot_product_attention."""
    scores = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)  # (B, H, T, T)
    if is_causal:
        places = torch.arange(key.shape[-2], device=key.device)
        scores = scores.masked_fill(places[:, None] < places, -torch.inf)
    elif visible is not None:
        scores = scores.masked_fill(~visible, -torch.inf)
    mixed: Tensor = scores.softmax(dim=-1) @ value
    return mixed


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
        self.dropout = Dropout(config.dropout)

    def forward(self, states: Tensor, visible: Tensor | None) -> Tensor:
        states = states + self.dropout(self.attention(self.attention_norm(states), visible))
        return states + cast("Tensor", self.dropout(self.feedforward(states)))

    def state_at(self, states: Tensor, visible: Tensor, places: Tensor) -> Tensor:
        mixed = self.attention.state_at(self.attention_norm(states), visible, places)
        state: Tensor = select_states(states, places) + self.dropout(mixed)
        return state + cast("Tensor", self.dropout(self.feedforward(state)))


def with_first(real: Tensor) -> Tensor:
    """(B, T) bool: the real positions, and always the first: attention over nothing would be 0 / 0."""
    return real | (torch.arange(real.shape[1], device=real.device) == 0)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
