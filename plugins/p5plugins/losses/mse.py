"""Squared error of predicted ratings."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from p5core.contracts.loss import ValueLoss

__all__ = ["MSE"]


class MSE(ValueLoss):
    """Mean squared error of predicted and observed values."""

    name = "mse"
    is_default = True

    @classmethod
    def suits(cls, n_items: int, n_events: int) -> str | None:
        """Any data."""
        return "values are predicted"

    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Compare in float32, whatever the precision of the network."""
        return F.mse_loss(predicted.float(), observed.float())
