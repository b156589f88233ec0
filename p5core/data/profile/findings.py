"""Findings about a log: purposes that it suits, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from p5core.data.columns import TITLE
from p5core.data.dataset import Dataset
from p5core.data.profile.report import PrepareReport

__all__ = ["Merit", "duplicate_share", "merits"]

SOME_COVERAGE = 0.5
MANY_REPEATS = 0.2
MANY_COLD = 0.1


@dataclass(frozen=True)
class Merit:
    """A purpose that the data does or does not suit, with the reason."""

    subject: Literal["order", "histories", "ratings", "content", "repeats", "cold"]
    verdict: Literal["good", "limited", "absent"]
    reason: str
    """name of the sentence: "baskets", say"""
    figure: float = 0.0
    """figure quoted in the sentence"""
    names: tuple[str, ...] = ()
    """columns quoted in the sentence"""


def duplicate_share(dataset: Dataset) -> float:
    """Fraction of events that repeat another one, time included; 0 without a clock."""
    events = dataset.events
    if not dataset.has_clock:
        return 0.0
    frame = pd.DataFrame({"user": events.users, "item": events.items, "time": events.times})
    return float(frame.duplicated().mean())


def merits(whole: PrepareReport, report: PrepareReport | None, dataset: Dataset) -> tuple[Merit, ...]:
    """Conclusions from the figures, most important first."""
    cold = report.cold_share if report else None
    candidates = [_order(whole, dataset.has_clock), _histories(whole), _ratings(whole), _content(whole, dataset)]
    if whole.repeat_rate > MANY_REPEATS:
        candidates.append(Merit("repeats", "limited", "many", whole.repeat_rate))
    if cold is not None and cold > MANY_COLD:
        candidates.append(Merit("cold", "limited", "many", cold))
    return tuple(candidates)


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
    columns = tuple(name for name, missing in whole.missing_features.items() if missing <= SOME_COVERAGE)
    if columns:
        return Merit("content", "good", "columns", len(columns), columns)
    return Merit("content", "absent", "title" if TITLE in dataset.catalogue.frame else "ids")
