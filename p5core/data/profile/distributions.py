"""Distributions of a log: popularity, lengths of histories, activity, ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import RATING
from p5core.data.dataset import Dataset, Events

__all__ = ["Distributions", "distributions"]

N_POINTS = 200


@dataclass(frozen=True, eq=False)
class Distributions:
    """Tables to draw; each has at most some hundred rows."""

    popularity: pd.DataFrame
    """rank, events: items from the most popular one on, at places that are even in the logarithm"""

    lengths: pd.DataFrame
    """events ("3–4"), users: how long histories are, in doubling steps"""

    activity: pd.DataFrame | None
    """time, events: by day, week, month or year; None without a clock"""

    ratings: pd.DataFrame | None
    """rating, events; None without ratings"""


def distributions(dataset: Dataset) -> Distributions:
    """Distributions of a data set."""
    events = dataset.events
    return Distributions(
        _popularity(events.items, dataset.n_items),
        _lengths(np.diff(events.offsets)),
        _activity(events.times) if dataset.has_clock else None,
        _rating_counts(events) if RATING in events.fields else None,
    )


def _popularity(items: npt.NDArray[np.int32], n_items: int) -> pd.DataFrame:
    counts = np.sort(np.bincount(items, minlength=n_items))[::-1]
    counts = counts[counts > 0]
    ranks = np.unique(np.geomspace(1, len(counts), N_POINTS).round().astype(np.int64))
    return pd.DataFrame({"rank": ranks, "events": counts[ranks - 1]})


def _lengths(lengths: npt.NDArray[np.int64]) -> pd.DataFrame:
    bins = np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    users = np.bincount(bins)
    tops = 2 ** np.arange(len(users))
    bottoms = tops // 2 + 1
    names = [str(top) if top == low else f"{low}–{top}" for low, top in zip(bottoms, tops, strict=True)]
    frame = pd.DataFrame({"events": names, "users": users})
    return frame[int(np.argmax(users > 0)) :]


def _activity(times: npt.NDArray[np.int64]) -> pd.DataFrame:
    moments = times.astype("datetime64[us]")
    for unit in ("D", "W", "M", "Y"):
        periods = moments.astype(f"datetime64[{unit}]")
        if (periods.max() - periods.min()).astype(np.int64) < N_POINTS:
            break
    first = periods.min()
    counts = np.bincount((periods - first).astype(np.int64))
    every = first + np.arange(len(counts))
    return pd.DataFrame({"time": every.astype("datetime64[s]"), "events": counts}).head(10 * N_POINTS)


def _rating_counts(events: Events) -> pd.DataFrame:
    """Each value where there are few; the middles of twenty equal steps otherwise."""
    ratings = events.fields[RATING]
    values, counts = np.unique(ratings, return_counts=True)
    if len(values) > 40:
        bins: tuple[npt.NDArray[np.int64], npt.NDArray[Any]] = np.histogram(ratings, 20)
        counts, values = bins[0], (bins[1][1:] + bins[1][:-1]) / 2
    return pd.DataFrame({"rating": [f"{value:.4g}" for value in values], "events": counts})
