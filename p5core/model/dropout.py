"""Dropout with masks that are cheap on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Dropout"]

STEPS = 2**16
"""Resolution of the dropout probability: draws are 16-bit numbers."""

DRAWS_AT_ONCE = 4
"""Numbers of 16 bits in one of 64."""


class Dropout(nn.Dropout):
    """Dropout (arXiv 1207.0580): zeroes entries with probability `p` during training and scales the others up.

    As torch.nn.Dropout, in a quarter of the time on a processor: one draw of the generator decides on four entries. `p`
    is rounded to a multiple of 2⁻¹⁶; elsewhere than on a processor it is torch's own.
    """

    def forward(self, values: Tensor) -> Tensor:
        """The same shape as `values`, of any."""
        dropped = round(self.p * STEPS)
        if not self.training or values.device.type != "cpu" or dropped in (0, STEPS):
            return F.dropout(values, self.p, self.training)
        kept = _draws(values.numel()).view(values.shape) >= dropped - STEPS // 2
        return values * (kept.to(values.dtype) * (STEPS / (STEPS - dropped)))


def _draws(n: int) -> Tensor:
    """(n,) int16 numbers, all equally likely."""
    drawn = torch.empty(-(-n // DRAWS_AT_ONCE), dtype=torch.int64).random_(-(2**63), None)
    return drawn.view(torch.int16)[:n]
