"""Generalised binary cross-entropy."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.loss import Candidates, RankingLoss

__all__ = ["GBCE", "GBCEConfig"]


class GBCEConfig(Config):
    """Options of generalised binary cross-entropy."""

    n_negatives: Annotated[int, Tunable(16, 1024, log=True)] = Field(256, ge=1, le=1_000_000)
    """Number of negatives drawn per batch, shared by its states."""

    t: Annotated[float, Tunable(0, 1)] = Field(0.75, ge=0, le=1)
    """Calibration: 0: plain binary cross-entropy; 1: corrects for negative sampling."""


class GBCE(RankingLoss):
    """Binary cross-entropy with σ(positive) raised to the power β (gSASRec, arXiv 2308.07192).

    β = α (t (1 - 1/α) + 1/α), where α = n_negatives / (V - 1) is the share of wrong items that is drawn. The draws are
    shared by all states of a batch, which makes their scores one matrix product; where one is a state's right item, it
    is left out.
    """

    name = "gbce"
    Config = GBCEConfig

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Draw the wrong items and score them for all states."""
        wrong = torch.randint(candidates.n_items, (self.config.n_negatives,), device=targets.device)
        codes, places = torch.unique(torch.cat([targets, wrong]), return_inverse=True)
        vectors = candidates.vectors(codes)
        right = (states * vectors[places[: len(targets)]]).sum(dim=1)  # (N,)
        others = states @ vectors[places[len(targets) :]].T  # (N, n)
        counts = wrong != targets[:, None]
        losses = -self.beta(candidates.n_items) * F.logsigmoid(right).sum() - (F.logsigmoid(-others) * counts).sum()
        return losses / (len(targets) + counts.sum())

    def beta(self, n_items: int) -> float:
        """Power of the right item's probability in a catalogue of V = `n_items`."""
        alpha = min(1.0, self.config.n_negatives / max(1, n_items - 1))
        return float(alpha * (self.config.t * (1 - 1 / alpha) + 1 / alpha))
