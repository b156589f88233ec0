"""Resampling of users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["interval", "resampled_sums"]

NUMBERS_AT_ONCE = 4_000_000
"""Maximum number of draw counts held in memory."""


def resampled_sums(columns: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(R, C) sums of `columns` (M, C) over M users drawn with replacement, R times; all columns share the draws."""
    rng = np.random.default_rng(seed)
    n_users = len(columns)
    size = max(1, NUMBERS_AT_ONCE // n_users)
    sums = np.empty((resamples, columns.shape[1]))
    for begin in range(0, resamples, size):
        n = min(size, resamples - begin)
        draws = rng.integers(n_users, size=(n, n_users)) + n_users * np.arange(n)[:, None]  # each row counts apart
        counts = np.bincount(draws.ravel(), minlength=n * n_users).reshape(n, n_users)
        sums[begin : begin + n] = counts.astype(np.float64) @ columns
    return sums


def interval(statistics: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of resampled statistics (R,); undefined ones are left out."""
    defined = statistics[~np.isnan(statistics)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)
