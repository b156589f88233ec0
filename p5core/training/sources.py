"""The batches of one epoch, drawn from one or several data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p5core.contracts.task import Task, TrainingData
from p5core.data.batch import Batch
from p5core.errors import TrainingError

__all__ = ["Plan", "Sources"]

Plan = Sequence[tuple[int, Any]]
"""The batches of one task in one epoch: number of the source, and what its `Task.batch` is given."""


@dataclass(frozen=True, eq=False)
class Sources:
    """The data sets of a stage; each batch comes from one of them."""

    data: Sequence[TrainingData]
    weights: Sequence[float]
    """factor of each source"""
    temperature: float
    """sources are drawn by their number of batches to the power 1 / temperature"""

    def plan(self, task: Task, rng: np.random.Generator) -> Plan:
        """The batches of one epoch in random order, as many as all sources have together.

        A source whose share is larger than its size has batches drawn again, and one whose share is smaller has
        some left out until another epoch. Raises TrainingError when the task plans no batch for a source.
        """
        plans = [self._whole(nth, task, rng) for nth in range(len(self.data))]
        if len(plans) == 1:
            return [(0, rows) for rows in plans[0]]
        counts = self._counts([len(plan) for plan in plans])
        drawn: list[tuple[int, Any]] = []
        for nth, count in enumerate(counts):
            rows = list(plans[nth])
            while len(rows) < count:
                rows += self._whole(nth, task, rng)
            drawn += [(nth, row) for row in rows[:count]]
        return [drawn[place] for place in rng.permutation(len(drawn))]

    def _whole(self, nth: int, task: Task, rng: np.random.Generator) -> Sequence[Any]:
        plan = task.plan(self.data[nth], rng)
        if not len(plan):
            which = f" for source {nth}" if len(self.data) > 1 else ""
            raise TrainingError(f"Task '{task.name}' plans no batch{which}; training needs one an epoch at least.")
        return plan

    def _counts(self, sizes: Sequence[int]) -> list[int]:
        """Number of batches of each source, at least one."""
        shares = np.asarray(self.weights) * np.asarray(sizes, dtype=np.float64) ** (1 / self.temperature)
        return [max(1, round(sum(sizes) * share)) for share in shares / shares.sum()]

    def batch(self, task: Task, place: tuple[int, Any], rng: np.random.Generator) -> Batch:
        """One batch of a plan."""
        source, rows = place
        return task.batch(self.data[source], rows, rng)
