"""Causal filters along the history, and layers between them."""

from __future__ import annotations

from typing import Annotated, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone, select_states
from p5core.model.dropout import Dropout

__all__ = ["Filter", "FilterConfig"]

SHORT = 32
"""Positions up to which products of matrices take a half to a fifth of the time of a convolution."""


class FilterConfig(Config):
    """Options of the filters."""

    n_layers: Annotated[int, Tunable(1, 4)] = Field(2, ge=1, le=256)
    """Number of blocks."""

    reach: Annotated[int, Tunable(4, 64, log=True)] = Field(16, ge=1, le=100_000)
    """Length of the filters: number of most recent positions read."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of block outputs."""

    feedforward: Annotated[float, Tunable(1, 4)] = Field(4.0, gt=0, le=64)
    """Hidden dimension of feed-forward layers, as a multiple of the model width."""


class Filter(Backbone):
    """Blocks of a learned causal filter along time per channel, and a feed-forward layer.

    The causal counterpart of FMLP-Rec (arXiv 2202.13556) and of the filters of BSARec (arXiv 2312.10325): their Fourier
    filters read the whole window, the item to predict included, so they cannot be trained at every position.
    """

    name = "filter"
    Config = FilterConfig
    causal = True

    def __init__(self, config: FilterConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.positions = nn.Embedding(max_length, width)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config, width) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states; padding lies behind the real positions, so no filter reaches it."""
        states = self._placed(vectors)
        for block in self.blocks:
            states = block(states)
        return cast("Tensor", self.norm(states))

    def state_at(self, vectors: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """Compute one state a row."""
        *earlier, last = self.blocks
        states = self._placed(vectors)
        for block in earlier:
            states = block(states)
        return cast("Tensor", self.norm(cast("_Block", last).state_at(states, places)))

    def _placed(self, vectors: Tensor) -> Tensor:
        places = torch.arange(vectors.shape[1], device=vectors.device)
        return cast("Tensor", self.dropout(vectors + self.positions(places)))


class _Block(nn.Module):
    """A filter, then a feed-forward layer, each normalised before and added to what came in."""

    def __init__(self, config: FilterConfig, width: int) -> None:
        super().__init__()
        inner = max(1, round(config.feedforward * width))
        self.filter_norm = nn.LayerNorm(width)
        self.taps = nn.Parameter(_averages(width, config.reach))
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)
        )
        self.dropout = Dropout(config.dropout)
        for layer in self.feedforward:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        normed = self.filter_norm(states)
        is_short = not torch.compiler.is_exporting() and states.shape[1] <= SHORT
        filtered = self._multiplied(normed) if is_short else self._convolved(normed)
        return self._fed(states + self.dropout(filtered))

    def _convolved(self, states: Tensor) -> Tensor:
        """(B, T, D) the filter of each channel along time."""
        before = F.pad(states.transpose(1, 2), (self.taps.shape[-1] - 1, 0))  # (B, D, K - 1 + T)
        return F.conv1d(before, self.taps, groups=self.taps.shape[0]).transpose(1, 2)

    def _multiplied(self, states: Tensor) -> Tensor:
        """(B, T, D) the same, as a product with a matrix (T, T) for each channel."""
        places = torch.arange(states.shape[1], device=states.device)
        by_distance = self._taps_at(places[:, None] - places).permute(2, 0, 1)  # (D, T, T)
        return torch.bmm(by_distance, states.permute(2, 1, 0)).permute(2, 1, 0)

    def _taps_at(self, distance: Tensor) -> Tensor:
        """(…, D) weights of positions so far back as `distance` (…) says; nothing ahead or beyond the reach."""
        reach = self.taps.shape[-1]
        distance = torch.where((distance < 0) | (distance >= reach), reach, distance)
        return F.embedding(distance, F.pad(self.taps[:, 0].T.flip(0), (0, 0, 0, 1)))

    def state_at(self, states: Tensor, places: Tensor) -> Tensor:
        """(B, D) what `forward` gives at `places` (B,): each position is weighed by its distance."""
        distance = places[:, None] - torch.arange(states.shape[1], device=states.device)  # (B, T)
        filtered = (self.filter_norm(states) * self._taps_at(distance)).sum(dim=1)
        return self._fed(select_states(states, places) + self.dropout(filtered))

    def _fed(self, states: Tensor) -> Tensor:
        return states + cast("Tensor", self.dropout(self.feedforward(states)))


def _averages(width: int, reach: int) -> Tensor:
    """(D, 1, K) weights to begin with, the newest position last: moving averages, of short memory and of long."""
    decay = torch.linspace(0.5, 0.95, width)[:, None] ** torch.arange(reach - 1, -1, -1)  # (D, K)
    average = 0.75 * decay / decay.sum(dim=1, keepdim=True)
    average[:, -1] += 0.25
    return average[:, None]
