"""A margin between the target and drawn items."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from p5core import Candidates, Config, RankingLoss

__all__ = ["Hinge", "HingeConfig"]


class HingeConfig(Config):
    """Options of the hinge loss."""

    n_negatives: int = Field(16, ge=1)
    """Number of negatives drawn per state."""


class Hinge(RankingLoss):
    """Hinge loss over uniformly drawn negatives: max(0, 1 - positive + negative)."""

    name = "hinge"
    Config = HingeConfig
    config: HingeConfig

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        drawn = torch.randint(candidates.n_items, (len(targets), self.config.n_negatives), device=targets.device)
        positive = (states * candidates.vectors(targets)).sum(-1, keepdim=True)
        vectors = candidates.vectors(drawn.flatten()).view(*drawn.shape, -1)
        negative = (states[:, None] * vectors).sum(-1)
        is_target = drawn == targets[:, None]
        return ((1 - positive + negative).clamp_min(0) * ~is_target).mean()
