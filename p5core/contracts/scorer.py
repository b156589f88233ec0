"""What can be evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from p5core.data.dataset import Ragged

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RatingScorer", "Scorer"]


class Scorer(Protocol):
    """Scores the whole catalogue for users: a network, a baseline, anything."""

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) float32, higher is better, for `users` (B,) with their `histories`, oldest first.

        The tensor belongs to the caller, who may overwrite it.
        """


@runtime_checkable
class RatingScorer(Protocol):
    """Predicts ratings."""

    def ratings(self, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> npt.NDArray[np.floating]:
        """(n_targets,) predicted ratings, in rating units, of the `targets` of each of the `users` (B,)."""
