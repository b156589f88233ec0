"""Paired significance tests between two runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from p5core.contracts.metric import Metric
from p5core.errors import RunError
from p5core.evaluation.intervals import interval, resampled_sums

__all__ = ["Comparison", "UserValues", "compare"]

NUMBERS_AT_ONCE = 4_000_000
"""Maximum number of signs held in memory."""


@dataclass(frozen=True, eq=False)
class UserValues:
    """Values of one metric for each user of one run."""

    users: npt.NDArray[np.generic]
    """(M,) raw ids or codes"""

    values: npt.NDArray[np.float64]
    """(M,) NaN where undefined"""

    weights: npt.NDArray[np.float64] | None = None
    """(M,) weight of each user; None weighs all the same"""


@dataclass(frozen=True)
class Comparison:
    """The first run less the second."""

    difference: float
    low: float
    high: float
    """95 % bootstrap interval of the difference"""

    p_value: float
    """two-sided p-value: probability of a difference at least this large if the runs were interchangeable"""

    n_users: int
    """users with a value in both runs"""


def compare(metric: Metric, first: UserValues, second: UserValues, resamples: int, seed: int) -> Comparison:
    """Compare two runs on the same users by bootstrap and by a two-sided sign-flip permutation test.

    The test exchanges the values of both runs for each user with probability one half (Fisher's randomisation test,
    doi 10.1145/1321440.1321528). Raises RunError when the users differ.
    """
    a, b, weights = _paired(metric, first, second)
    columns = np.stack([a * weights, b * weights, weights], axis=1)  # (M, 3)
    total = columns.sum(axis=0)
    difference = float(_difference(metric, total[None])[0])
    low, high = interval(_difference(metric, resampled_sums(columns, resamples, seed)))
    flipped = _difference(metric, _flipped_sums(columns, resamples, seed))
    as_large = np.abs(flipped) >= abs(difference) * (1 - 1e-9)
    p_value = (1 + int(as_large.sum())) / (1 + resamples)
    return Comparison(difference, low, high, p_value, len(a))


def _paired(
    metric: Metric, first: UserValues, second: UserValues
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    orders = [np.argsort(values.users, kind="stable") for values in (first, second)]
    if not np.array_equal(first.users[orders[0]], second.users[orders[1]]):
        raise RunError(
            f"The runs were tested on different users ({len(first.users)} and {len(second.users)}), so their "
            f"{metric.label} cannot be paired. Compare runs of the same data, preparation, split and seed."
        )
    a, b = first.values[orders[0]], second.values[orders[1]]
    weights = np.ones(len(a)) if first.weights is None else first.weights[orders[0]]
    both = ~(np.isnan(a) | np.isnan(b))
    if not both.any():
        raise RunError(f"No user has a {metric.label} in both runs, so there is nothing to compare.")
    return a[both], b[both], weights[both]


def _difference(metric: Metric, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(R,) difference of the figures behind weighted sums of both runs and of the weights (R, 3)."""
    means = sums[:, :2] / sums[:, 2:]
    return metric.scale(means[:, 0]) - metric.scale(means[:, 1])


def _flipped_sums(columns: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(R, 3) the sums when each user's two values change places at random."""
    rng = np.random.default_rng([seed, 1])
    gap = columns[:, 1] - columns[:, 0]
    size = max(1, NUMBERS_AT_ONCE // len(gap))
    moved = np.concatenate(
        [
            rng.integers(2, size=(min(size, resamples - begin), len(gap)), dtype=np.int8) @ gap
            for begin in range(0, resamples, size)
        ]
    )
    total = columns.sum(axis=0)
    return np.stack([total[0] + moved, total[1] - moved, np.full(resamples, total[2])], axis=1)
