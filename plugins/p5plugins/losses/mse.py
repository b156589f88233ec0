"""Squared error of predicted ratings."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from p5core.contracts.loss import RatingLoss

__all__ = ["MSE"]


class MSE(RatingLoss):
    """Mean of (predicted - observed)²."""

    name = "mse"

    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Compare in float32, whatever the precision of the network."""
        return F.mse_loss(predicted.float(), observed.float())
