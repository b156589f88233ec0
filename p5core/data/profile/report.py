"""Figures of a prepared data set, and the rows that preparation dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.data.columns import RATING
from p5core.data.dataset import Dataset, Events, distinct
from p5core.data.profile.order import order_warnings

__all__ = ["Dropped", "PrepareReport", "Rejected", "describe", "with_split"]

SHOWN_REJECTED = 20
"""Rejected cells in a report as JSON."""


@dataclass(frozen=True)
class Dropped:
    """Rows that a step left out, and why."""

    reason: str
    rows: int


@dataclass(frozen=True)
class Rejected:
    """A cell that could not be read, for which its row was left out."""

    place: str
    """file and row"""
    column: str
    value: str


@dataclass(frozen=True)
class PrepareReport:
    """Figures of a prepared data set."""

    source: str
    notes: tuple[str, ...]
    n_read: int
    dropped: tuple[Dropped, ...]
    k_core_rounds: int
    n_users: int
    n_items: int
    """with and without events"""
    n_cold_items: int
    """items of the items table that have no events"""
    n_events: int
    domains: tuple[str, ...]

    density: float
    """events / (users × items with events)"""

    repeat_rate: float
    """share of events whose user had the item before"""

    popularity_gini: float
    """0 when all items have equally many events, near 1 when few have nearly all"""

    top_percent_share: float
    """share of events of the most popular 1 % of the items"""

    tied_share: float
    """share of consecutive events of one user at the same time"""

    history_lengths: dict[str, float]
    """min, median, mean and max events of a user"""

    time_span: tuple[str, str] | None
    """first and last day; None without a clock"""

    ratings: dict[str, float] | None
    """min, mean and max rating"""

    missing_features: dict[str, float] = field(default_factory=dict)
    """item column → share of items without a value"""

    cold_share: float | None = None
    """share of test events whose item has no training event; known after the split"""

    warnings: tuple[str, ...] = ()
    """warnings of preparation and of the split"""

    rejected: tuple[Rejected, ...] = ()
    """cells that could not be read, of the first 10,000 rows that were left out for one"""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with some examples of the rejected cells."""
        return asdict(replace(self, rejected=self.rejected[:SHOWN_REJECTED]))


def describe(
    dataset: Dataset,
    source: str,
    notes: Sequence[str],
    n_read: int,
    dropped: Sequence[Dropped],
    rounds: int,
    rejected: Sequence[Rejected] = (),
) -> PrepareReport:
    """Compute the figures of a data set."""
    events, catalogue = dataset.events, dataset.catalogue
    lengths = np.diff(events.offsets)
    counts = np.sort(np.bincount(events.items))
    counts = counts[counts > 0]
    n_top = max(1, round(len(counts) / 100))
    return PrepareReport(
        source=source,
        notes=tuple(notes),
        n_read=n_read,
        dropped=tuple(step for step in dropped if step.rows),
        k_core_rounds=rounds,
        n_users=events.n_users,
        n_items=dataset.n_items,
        n_cold_items=dataset.n_items - len(counts),
        n_events=len(events),
        domains=catalogue.domains,
        density=len(events) / (events.n_users * len(counts)),
        repeat_rate=_repeat_rate(events, dataset.n_items),
        popularity_gini=_gini(counts),
        top_percent_share=float(counts[-n_top:].sum() / counts.sum()),
        tied_share=_tied_share(events) if dataset.has_clock else 0.0,
        history_lengths=_summary(lengths, median=True),
        time_span=_span(events.times) if dataset.has_clock else None,
        ratings=_summary(events.fields[RATING], median=False) if RATING in events.fields else None,
        missing_features={name: float(catalogue.frame[name].isna().mean()) for name in catalogue.features},
        warnings=tuple(order_warnings(dataset)),
        rejected=tuple(rejected),
    )


def with_split(report: PrepareReport, cold_share: float, warnings: Sequence[str]) -> PrepareReport:
    """Add what only the split can tell."""
    return replace(report, cold_share=cold_share, warnings=(*report.warnings, *warnings))


def _repeat_rate(events: Events, n_items: int) -> float:
    pairs = events.users.astype(np.int64) * n_items + events.items
    return 1 - len(distinct(pairs)) / len(pairs)


def _gini(ascending: npt.NDArray[np.int64]) -> float:
    """Gini coefficient of counts in ascending order."""
    n = len(ascending)
    places = np.arange(1, n + 1)
    return float(2 * (places @ ascending) / (n * ascending.sum()) - (n + 1) / n)


def _tied_share(events: Events) -> float:
    inner = np.ones(len(events), dtype=bool)
    inner[events.offsets[:-1]] = False  # a user's first event has none before it
    same = np.concatenate([[False], np.diff(events.times) == 0])
    return float((same & inner).sum() / max(1, inner.sum()))


def _summary(values: npt.NDArray[Any], median: bool) -> dict[str, float]:
    summary = {"min": float(values.min()), "mean": float(values.mean(dtype=np.float64)), "max": float(values.max())}
    return summary | ({"median": float(np.median(values))} if median else {})


def _span(times: npt.NDArray[np.int64]) -> tuple[str, str]:
    first, last = (str(np.datetime64(int(time), "us").astype("datetime64[D]")) for time in (times.min(), times.max()))
    return first, last
