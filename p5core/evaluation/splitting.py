"""Splitting a data set by the part that an experiment names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from p5core.config.base import PartRef
from p5core.data.dataset import Dataset
from p5core.data.holdout import Split, split_by_roles
from p5core.errors import ConfigError
from p5core.plugins.registry import Registry

__all__ = ["Fold", "Roles", "split_dataset", "split_roles"]

Fold = tuple[int, int]
"""(i, n): the i-th of n cross-validation folds, counted from 0."""

Roles = npt.NDArray[np.int8]


def split_roles(registry: Registry, ref: PartRef, dataset: Dataset, seed: int, fold: Fold | None = None) -> Roles:
    """(N,) the roles of the events of a data set, or those of one cross-validation fold.

    Raises ConfigError when the split does not suit the data, or for a fold that cannot be.
    """
    if fold is not None and not 0 <= fold[0] < fold[1] > 1:
        raise ConfigError(f"There is no fold {fold[0]} of {fold[1]}; give two folds or more and count from 0.")
    part = registry.choose("split", ref, "split").build()
    rng = np.random.default_rng([seed, 1])
    roles: Roles = part.roles(dataset, rng) if fold is None else part.fold_roles(dataset, rng, *fold)
    return roles


def split_dataset(registry: Registry, ref: PartRef, dataset: Dataset, seed: int, fold: Fold | None = None) -> Split:
    """Split a data set; raises DataError when a part is empty, and as `split_roles`."""
    return split_by_roles(dataset, split_roles(registry, ref, dataset, seed, fold))
