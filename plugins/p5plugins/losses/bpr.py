"""Bayesian personalised ranking."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.loss import Candidates, RankingLoss

__all__ = ["BPR", "BPRConfig"]


class BPRConfig(Config):
    """Options of Bayesian personalised ranking."""

    n_negatives: Annotated[int, Tunable(1, 64, log=True)] = Field(1, ge=1, le=100_000)
    """Number of negatives drawn for each state."""


class BPR(RankingLoss):
    """Bayesian personalised ranking: -log σ(positive - negative), negatives uniform (arXiv 1205.2618).

    A pair whose wrong item happens to be the right one is left out.
    """

    name = "bpr"
    Config = BPRConfig

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Draw `n_negatives` items for each state."""
        wrong = torch.randint(candidates.n_items, (len(targets), self.config.n_negatives), device=targets.device)
        drawn = torch.cat([targets[:, None], wrong], dim=1)  # (N, 1 + n), the right item first
        codes, places = torch.unique(drawn, return_inverse=True)
        vectors = candidates.vectors(codes)[places]  # (N, 1 + n, D)
        scores = torch.einsum("nd,nkd->nk", states.to(vectors.dtype), vectors)
        losses = -F.logsigmoid(scores[:, :1] - scores[:, 1:])  # (N, n)
        counts = wrong != targets[:, None]
        return (losses * counts).sum() / counts.sum().clamp_min(1)
