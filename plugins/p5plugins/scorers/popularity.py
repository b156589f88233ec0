"""The popularity of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged

__all__ = ["Popularity", "PopularityConfig"]

DAMPING = 10.0
"""Average values that every item is given beside its own, so that a few do not make an extreme mean."""


class PopularityConfig(Config):
    """Options of popularity."""

    newest: Annotated[float, Tunable(0.01, 1, log=True)] = Field(1.0, gt=0, le=1)
    """Fraction of the training events, the newest, that are counted."""

    trending: bool = False
    """Rank by how much more often items occur among the newest events than before."""

    @model_validator(mode="after")
    def _something_is_older(self) -> Self:
        if self.trending and self.newest == 1:
            raise ValueError("trending compares the newest events with all: set newest below 1, such as 0.1")
        return self


class Popularity(Scorer):
    """Number of training events of an item, the same for all users; predicts mean ratings.

    With `newest` = s only the newest s of all events count; with `trending` an item with n newest among N events scores
    (n + d) / (s N + d), d = 10.
    """

    name = "popularity"
    Config = PopularityConfig
    config: PopularityConfig
    is_default = True

    counts: npt.NDArray[np.number]
    """(V,) training events, or the sum of their weights"""

    means: Mapping[str, npt.NDArray[np.float64]]
    """name of a field → (V,) its mean, damped towards the mean of all"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Count the training events of each item and average their fields of numbers."""
        n_items = len(catalogue)
        n_events = np.bincount(events.items, minlength=n_items)
        self.counts = self._counts(events, n_items)
        numbers = {name: values for name, values in events.fields.items() if values.dtype.kind == "f"}
        self.means = {name: _damped_means(values, events.items, n_events) for name, values in numbers.items()}

    def _counts(self, events: Events, n_items: int) -> npt.NDArray[np.number]:
        whole = np.bincount(events.items, events.weights, n_items)
        share = self.config.newest
        if share == 1:
            return whole
        n_newest = max(1, round(share * len(events)))
        rows = np.argsort(events.times, kind="stable")[-n_newest:] if len(events) else np.zeros(0, dtype=np.int64)
        weights = None if events.weights is None else events.weights[rows]
        newest = np.bincount(events.items[rows], weights, n_items)
        return (newest + DAMPING) / (share * whole + DAMPING) if self.config.trending else newest

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) the counts, a row for each user."""
        return torch.from_numpy(self.counts.astype(np.float32)).repeat(len(histories), 1)

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.floating] | None:
        """(n_targets,) the damped mean of each target."""
        return self.means[field][targets.values] if field in self.means else None

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        return {"counts": self.counts, **{f"mean.{name}": values for name, values in self.means.items()}}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self.counts = state["counts"]
        self.means = {name.removeprefix("mean."): array for name, array in state.items() if name.startswith("mean.")}


def _damped_means(
    values: npt.NDArray[Any], items: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    mean = values.mean(dtype=np.float64)
    sums = np.bincount(items, values, minlength=len(counts))
    return np.asarray((sums + DAMPING * mean) / (counts + DAMPING))
