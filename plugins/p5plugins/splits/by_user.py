"""The split by users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.contracts.split import Split, rotated
from p5core.data.dataset import Dataset, Events
from p5core.data.holdout import Role
from p5core.errors import ConfigError

__all__ = ["ByUser", "ByUserConfig"]


class ByUserConfig(Config):
    """Options of the split by users."""

    validation: float = Field(0.1, gt=0, lt=1)
    """Fraction of users for validation."""

    test: float = Field(0.1, gt=0, lt=1)
    """Fraction of users for the test."""

    held_out: float = Field(0.2, gt=0, lt=1)
    """Fraction of a held-out user's events, the newest, that are targets."""


class ByUser(Split):
    """Holds out whole users: their newest events are targets, older ones their history."""

    name = "by_user"
    Config = ByUserConfig
    config: ByUserConfig
    holds_out_users = True

    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        config = self.config
        if config.validation + config.test >= 1:
            raise ConfigError("split.validation and split.test together must stay below 1.")
        draw = rng.random(dataset.events.n_users)
        return _roles(dataset.events, draw, config.validation, config.test, config.held_out)

    def fold_roles(self, dataset: Dataset, rng: np.random.Generator, fold: int, n_folds: int) -> npt.NDArray[np.int8]:
        draw = rotated(dataset.events.n_users, rng, fold, n_folds)
        return _roles(dataset.events, draw, 0.1 * (1 - 1 / n_folds), 1 / n_folds, self.config.held_out)


def _roles(
    events: Events, draw: npt.NDArray[np.float64], validation: float, test: float, held_out: float
) -> npt.NDArray[np.int8]:
    """(N,) roles by a draw from [0, 1) for each user."""
    lengths = np.diff(events.offsets)
    group = np.where(draw < test, Role.TEST, np.where(draw < test + validation, Role.VALIDATION, Role.TRAIN))
    group = np.where(lengths >= 2, group, Role.TRAIN)
    n_held = np.maximum(1, np.floor(lengths * held_out)).astype(np.int64)
    places_left = events.offsets[1:][events.users] - np.arange(len(events))
    of_event = group[events.users]
    in_history = (of_event != Role.TRAIN) & (places_left > n_held[events.users])
    return np.where(in_history, Role.HISTORY, of_event).astype(np.int8)
