"""Scores that differ by rounding alone, taken as equal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.scorer import HistoryScorer
from p5core.data.dataset import Ragged

__all__ = ["NearTies"]

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Differences by rounding are smaller."""


class NearTies:
    """A scorer in which scores within tolerance of the next higher one are equal to it.

    Items with equal vectors have equal scores in exact arithmetic. A matrix product may give them other last bits, and
    those are no order: networks and exports round differently.
    """

    def __init__(self, scorer: HistoryScorer) -> None:
        self._scorer = scorer

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores, those of a group of near ties all as high as its highest."""
        ordered, places = self._scorer.scores(users, histories).sort(dim=1, descending=True)
        higher, lower = ordered[:, :-1], ordered[:, 1:]
        tolerance = ABSOLUTE + RELATIVE * higher.abs()
        is_first = torch.ones_like(ordered, dtype=torch.bool)
        is_first[:, 1:] = ~((higher - lower <= tolerance) | (higher == lower))  # infinities have no difference
        first = torch.where(is_first, torch.arange(ordered.shape[1], device=ordered.device), 0).cummax(dim=1).values
        return torch.empty_like(ordered).scatter_(1, places, ordered.gather(1, first))

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.floating] | None:
        """The predictions of the scorer."""
        return self._scorer.predict(field, users, histories, targets)
