"""The simplest scorer that a model must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.data.dataset import Events, Ragged

__all__ = ["Popularity"]

DAMPING = 10.0
"""Average ratings that every item is given beside its own, so that a few do not make an extreme mean."""


@dataclass(frozen=True, eq=False)
class Popularity:
    """Scores every item by its training events and rates it by its mean, for everybody the same."""

    counts: npt.NDArray[np.int64]
    """(V,) training events"""

    means: npt.NDArray[np.float64]
    """(V,) mean rating, damped towards the mean of all; NaN where events are not rated"""

    @classmethod
    def fit(cls, events: Events, n_items: int) -> Popularity:
        """Count the training events of each item and average their ratings."""
        counts = np.bincount(events.items, minlength=n_items)
        if events.ratings is None:
            return cls(counts, np.full(n_items, np.nan))
        mean = events.ratings.mean(dtype=np.float64)
        sums = np.bincount(events.items, events.ratings, minlength=n_items)
        return cls(counts, (sums + DAMPING * mean) / (counts + DAMPING))

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) the counts, a row for each user."""
        return torch.from_numpy(self.counts.astype(np.float32)).repeat(len(histories), 1)

    def ratings(self, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> npt.NDArray[np.float64]:
        """(n_targets,) the damped mean rating of each target."""
        return self.means[targets.values]
