"""Binary cross-entropy of predicted probabilities."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from p5core.contracts.loss import ProbabilityLoss

__all__ = ["BCE"]


class BCE(ProbabilityLoss):
    """Binary cross-entropy of logits z and labels y: -y log σ(z) - (1 - y) log σ(-z)."""

    name = "bce"
    is_default = True

    @classmethod
    def suits(cls, n_items: int, n_events: int) -> str | None:
        """Any data."""
        return "probabilities are predicted"

    def __call__(self, logits: Tensor, observed: Tensor) -> Tensor:
        """Compare in float32, whatever the precision of the network."""
        return F.binary_cross_entropy_with_logits(logits.float(), observed.float())
