"""The contract of splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from p5core.contracts.part import Part
from p5core.data.dataset import Dataset
from p5core.data.holdout import Role

__all__ = ["Split", "random_roles", "rotated"]


class Split(Part, ABC):
    """Gives each event of a data set one role: training, validation, test, or history of a held-out user."""

    holds_out_users: ClassVar[bool] = False
    """True if held-out users have no training events; models based on user vectors cannot serve them."""

    keeps_order: ClassVar[bool] = True
    """False if events are held out from the middle of histories: what is left next to each other was not."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @abstractmethod
    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        """(N,) the `Role` of each event.

        Raises ConfigError when the options do not suit the data.
        """

    def fold_roles(self, dataset: Dataset, rng: np.random.Generator, fold: int, n_folds: int) -> npt.NDArray[np.int8]:
        """(N,) the roles in one of `n_folds` cross-validation folds, counted from 0.

        By default each fold tests random events, and a tenth of the others validates.
        """
        draw = rotated(len(dataset.events), rng, fold, n_folds)
        return random_roles(draw, 0.1 * (1 - 1 / n_folds), 1 / n_folds)


def random_roles(draw: npt.NDArray[np.float64], validation: float, test: float) -> npt.NDArray[np.int8]:
    """(N,) roles of events by a draw from [0, 1) each: the lowest test, the next ones validate."""
    roles = np.where(draw < test, Role.TEST, np.where(draw < test + validation, Role.VALIDATION, Role.TRAIN))
    return roles.astype(np.int8)


def rotated(n: int, rng: np.random.Generator, fold: int, n_folds: int) -> npt.NDArray[np.float64]:
    """(n,) even positions in [0, 1) in random order, turned so that each fold in its turn lies below 1 / n_folds."""
    place = rng.permutation(n)
    turned = (place * n_folds // n - fold) % n_folds  # whole numbers: rounding would put events in two folds
    return (turned + place * n_folds % n / n) / n_folds
