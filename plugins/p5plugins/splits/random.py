"""The random split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.contracts.split import Split, random_roles, rotated
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError

__all__ = ["RandomRatio", "RandomRatioConfig"]


class RandomRatioConfig(Config):
    """Options of the random split."""

    validation: float = Field(0.1, gt=0, lt=1)
    """Average fraction of each user's events for validation."""

    test: float = Field(0.1, gt=0, lt=1)
    """Average fraction of each user's events for the test."""


class RandomRatio(Split):
    """Holds out events at random, regardless of time. Comparable to old papers; leaks the future."""

    name = "random"
    keeps_order = False
    Config = RandomRatioConfig
    config: RandomRatioConfig

    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        if self.config.validation + self.config.test >= 1:
            raise ConfigError("split.validation and split.test together must stay below 1.")
        return random_roles(rng.random(len(dataset.events)), self.config.validation, self.config.test)

    def fold_roles(self, dataset: Dataset, rng: np.random.Generator, fold: int, n_folds: int) -> npt.NDArray[np.int8]:
        """Each fold tests random events, and of the others `validation` validates."""
        draw = rotated(len(dataset.events), rng, fold, n_folds)
        return random_roles(draw, self.config.validation * (1 - 1 / n_folds), 1 / n_folds)
