"""What a log is like and what it is good for, before anything is trained on it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import ITEM, RATING, TIMESTAMP, TITLE, USER
from p5core.data.dataset import Dataset, Events
from p5core.data.ingest.prepare import PrepareConfig, prepare
from p5core.data.ingest.report import PrepareReport, with_split
from p5core.data.ingest.staging import Workspace, stage
from p5core.data.preview import first_rows
from p5core.data.raw import RawData
from p5core.data.split import LeaveOneOut, Split, SplitConfig, TimeWindows, split
from p5core.errors import P5Error
from p5core.workflows.presets import Recipe, recipe_for

__all__ = ["MAX_ROWS", "Curves", "Diagnosis", "Merit", "curves", "examine", "merits", "read_events"]

MAX_ROWS = 500_000
"""Rows that are looked at when nobody asks for more: some seconds on two cores."""

SPLITS: Mapping[str, SplitConfig] = {"leave_one_out": LeaveOneOut(), "time": TimeWindows()}
"""What a recipe may name."""

N_POINTS = 200
SOME_COVERAGE = 0.5
MANY_REPEATS = 0.2
MANY_COLD = 0.1


@dataclass(frozen=True)
class Merit:
    """One thing that the data is good for, or not, and the fact that says so."""

    subject: Literal["order", "histories", "ratings", "content", "repeats", "cold"]
    verdict: Literal["good", "limited", "absent"]
    reason: str
    """a word that names the sentence, such as "baskets" """
    figure: float = 0.0
    """what the sentence quotes"""
    names: tuple[str, ...] = ()
    """columns that the sentence quotes"""


@dataclass(frozen=True, eq=False)
class Curves:
    """What is drawn; each frame has at most some hundred rows."""

    popularity: pd.DataFrame
    """rank, events: items from the most popular one on, at places that are even in the logarithm"""

    lengths: pd.DataFrame
    """events ("3–4"), users: how long histories are, in doubling steps"""

    activity: pd.DataFrame | None
    """time, events: by day, week, month or year; None without a clock"""

    ratings: pd.DataFrame | None
    """rating, events; None without ratings"""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found; without a `fault` all of it is there."""

    whole: PrepareReport
    """everything that can be used, nothing left out"""

    report: PrepareReport | None
    """what is left after cleaning, with what the split found"""

    curves: Curves
    """of the whole"""

    recipe: Recipe
    merits: tuple[Merit, ...]
    duplicate_share: float
    """share of events that equal an earlier one in user, item and time; 0 without a clock"""

    sizes: dict[str, int]
    """"train", "validation" and "test" → events"""

    is_cut: bool
    """whether there are more rows than were looked at"""

    fault: str = ""
    """why cleaning or the split is impossible as chosen"""


def read_events(head: RawData, n_rows: int = 10) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The first events as preparation will read them, times as dates, and what it guessed.

    Raises DataError, with row and column, for what cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="p5-", ignore_cleanup_errors=True) as folder,
        Workspace.open(Path(folder), "256MB") as workspace,
    ):
        staged = stage(workspace, head)
        columns = f'"user" AS {USER}, "item" AS {ITEM}, "time" AS {TIMESTAMP}, "rating" AS {RATING}'
        query = f'SELECT {columns} FROM events ORDER BY "row" LIMIT {n_rows}'
        frame = workspace.connection.execute(query).df()
    if staged.has_clock:
        frame[TIMESTAMP] = frame[TIMESTAMP].astype("datetime64[us]").astype("datetime64[s]").astype("str")
    kept = [USER, ITEM, *([TIMESTAMP] if staged.has_clock else []), *([RATING] if staged.has_rating else [])]
    return frame[kept], staged.notes


def examine(
    raw: RawData,
    cleaning: PrepareConfig | None = None,
    splitting: SplitConfig | None = None,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
) -> Diagnosis:
    """Look at the first `max_rows` rows as they are, then cleaned and split.

    What is None is chosen as a recipe would. Raises DataError when the log itself cannot be used.
    """
    raw = first_rows(raw, max_rows)
    dataset, whole = prepare(raw, PrepareConfig(keep="all", min_user_events=1))
    recipe = recipe_for(dataset)
    cleaning = cleaning or PrepareConfig(min_user_events=recipe.min_events, min_item_events=recipe.min_events)
    report, parts, fault = None, None, ""
    try:
        cleaned, report = prepare(raw, cleaning)
        parts = split(cleaned, splitting or SPLITS[recipe.split], seed)
        report = with_split(report, parts.cold_share, parts.warnings)
    except P5Error as error:
        fault = str(error)
    return Diagnosis(
        whole=whole,
        report=report,
        curves=curves(dataset),
        recipe=recipe,
        merits=merits(whole, report, dataset),
        duplicate_share=_duplicate_share(dataset),
        sizes=_sizes(parts) if parts else {},
        is_cut=whole.n_read >= max_rows,
        fault=fault,
    )


def _sizes(parts: Split) -> dict[str, int]:
    held = {"validation": len(parts.validation.targets.values), "test": len(parts.test.targets.values)}
    return {"train": len(parts.train), **held}


def _duplicate_share(dataset: Dataset) -> float:
    events = dataset.events
    if not dataset.has_clock:
        return 0.0
    frame = pd.DataFrame({"user": events.users, "item": events.items, "time": events.times})
    return float(frame.duplicated().mean())


def merits(whole: PrepareReport, report: PrepareReport | None, dataset: Dataset) -> tuple[Merit, ...]:
    """What the figures say, most important first."""
    cold = report.cold_share if report else None
    found = [_order(whole, dataset.has_clock), _histories(whole), _ratings(whole), _content(whole, dataset)]
    if whole.repeat_rate > MANY_REPEATS:
        found.append(Merit("repeats", "limited", "many", whole.repeat_rate))
    if cold is not None and cold > MANY_COLD:
        found.append(Merit("cold", "limited", "many", cold))
    return tuple(found)


def _order(whole: PrepareReport, has_clock: bool) -> Merit:
    if not has_clock:
        return Merit("order", "limited", "rows")
    if whole.tied_share > 0.5:
        return Merit("order", "limited", "baskets", whole.tied_share)
    return Merit("order", "good", "clock", whole.tied_share)


def _histories(whole: PrepareReport) -> Merit:
    median = whole.history_lengths["median"]
    verdict: Literal["good", "limited", "absent"] = "good" if median >= 5 else "limited" if median >= 2 else "absent"
    return Merit("histories", verdict, {"good": "long", "limited": "short", "absent": "single"}[verdict], median)


def _ratings(whole: PrepareReport) -> Merit:
    if whole.ratings is None:
        return Merit("ratings", "absent", "none")
    if whole.ratings["min"] == whole.ratings["max"]:
        return Merit("ratings", "absent", "constant", whole.ratings["min"])
    return Merit("ratings", "good", "varied", whole.ratings["mean"])


def _content(whole: PrepareReport, dataset: Dataset) -> Merit:
    known = tuple(name for name, missing in whole.missing_features.items() if missing <= SOME_COVERAGE)
    if known:
        return Merit("content", "good", "columns", len(known), known)
    return Merit("content", "absent", "title" if TITLE in dataset.catalogue.frame else "ids")


def curves(dataset: Dataset) -> Curves:
    """What is drawn of a data set."""
    events = dataset.events
    return Curves(
        _popularity(events.items, dataset.n_items),
        _lengths(np.diff(events.offsets)),
        _activity(events.times) if dataset.has_clock else None,
        None if events.ratings is None else _rating_counts(events),
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
    assert events.ratings is not None
    values, counts = np.unique(events.ratings, return_counts=True)
    if len(values) > 40:
        bins: tuple[npt.NDArray[np.int64], npt.NDArray[Any]] = np.histogram(events.ratings, 20)
        counts, values = bins[0], (bins[1][1:] + bins[1][:-1]) / 2
    return pd.DataFrame({"rating": [f"{value:.4g}" for value in values], "events": counts})
