"""Metrics by group of test users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from p5core.contracts.metric import Metric
from p5core.evaluation.intervals import interval, resampled_sums
from p5core.evaluation.significance import UserValues

if TYPE_CHECKING:
    from p5core.data.dataset import Dataset
    from p5core.data.holdout import Split

__all__ = ["Group", "Segment", "Traits", "even_groups", "segments", "user_traits", "warm_and_cold"]


@dataclass(frozen=True, eq=False)
class Traits:
    """Properties of M test users and their targets that do not depend on a model."""

    history: npt.NDArray[np.float64]
    """(M,) events that a model may read"""

    popularity: npt.NDArray[np.float64]
    """(M,) training events of the targets' items, averaged"""

    is_cold: npt.NDArray[np.bool_]
    """(M,) True where an item without training events is among the targets"""


@dataclass(frozen=True, eq=False)
class Group:
    """Some of M test users."""

    name: str
    place: float
    """position on the axis: the mean of the trait"""

    members: npt.NDArray[np.bool_]
    """(M,)"""


@dataclass(frozen=True)
class Segment:
    """The value of a metric for one group."""

    name: str
    place: float
    n_users: int
    value: float
    """NaN when no user of the group has one"""

    low: float
    high: float
    """95 % bootstrap interval over the users of the group"""


def user_traits(parts: Split, dataset: Dataset) -> Traits:
    """Traits of the test users of a split."""
    targets = parts.test.targets
    counts = np.bincount(parts.train.items, minlength=dataset.n_items)[targets.values]
    means = np.add.reduceat(counts, targets.offsets[:-1]) / targets.lengths
    is_cold = np.logical_or.reduceat(counts == 0, targets.offsets[:-1])
    return Traits(parts.test.histories.lengths.astype(np.float64), means, is_cold)


def even_groups(trait: npt.NDArray[np.float64], n: int) -> list[Group]:
    """At most `n` groups of about as many users each, by ascending trait (M,); users at zero stand by themselves.

    Equal traits are never torn apart, so there may be fewer groups.
    """
    positive = trait[trait > 0]
    inner = np.quantile(positive, np.arange(1, n) / n, method="higher") if len(positive) else np.zeros(0)
    edges = np.unique(np.concatenate([[0.0], inner]))
    of_user = np.where(trait > 0, np.digitize(trait, edges), 0)
    return [_group(trait, of_user == value) for value in np.unique(of_user)]


def _group(trait: npt.NDArray[np.float64], members: npt.NDArray[np.bool_]) -> Group:
    low, high = (f"{bound:,.0f}" for bound in (trait[members].min(), trait[members].max()))
    return Group(low if low == high else f"{low}–{high}", float(trait[members].mean()), members)


def warm_and_cold(traits: Traits) -> list[Group]:
    """Users all of whose targets were trained on, and the others; a group without users is left out."""
    groups = [Group("warm", 0.0, ~traits.is_cold), Group("cold", 1.0, traits.is_cold)]
    return [group for group in groups if group.members.any()]


def segments(metric: Metric, values: UserValues, groups: list[Group], resamples: int, seed: int) -> list[Segment]:
    """The metric for each group, with its interval."""
    weights = np.ones(len(values.values)) if values.weights is None else values.weights
    return [_segment(metric, values.values, weights, group, resamples, seed) for group in groups]


def _segment(
    metric: Metric,
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    group: Group,
    resamples: int,
    seed: int,
) -> Segment:
    chosen = group.members & ~np.isnan(values) & (weights > 0)
    if not chosen.any():
        return Segment(group.name, group.place, 0, float("nan"), float("nan"), float("nan"))
    values, weights = values[chosen], weights[chosen]
    sums = resampled_sums(np.stack([values * weights, weights], axis=1), resamples, seed)  # (R, 2)
    low, high = interval(metric.scale(sums[:, 0] / sums[:, 1]))
    return Segment(group.name, group.place, int(chosen.sum()), metric.reduce(values, weights), low, high)
