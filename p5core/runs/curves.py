"""Learning curves: the logged figures of a run as tables to draw."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["LearningCurves", "best_epochs", "best_figures", "read_curves", "thinned"]

NOT_METRICS = ("kind", "time", "stage", "epoch", "step", "loss", "best", "share")
"""Keys of a validation of P5 0.1 besides its metrics, which stood among them."""

LOSSES = {"step": "int64", "stage": "str", "epoch": "int64", "loss": "float64", "events_per_second": "float64"}
FIGURES = {"step": "int64", "stage": "str", "epoch": "int64", "metric": "str", "value": "float64"}

NEEDED = {"step": {*LOSSES}, "validation": {"step", "epoch", "is_best", "metrics"}}


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Figures by step, counted through all stages."""

    losses: pd.DataFrame
    """step, stage, epoch, loss, events_per_second"""

    figures: pd.DataFrame
    """step, stage, epoch, metric, value: those on validation events"""

    @classmethod
    def empty(cls) -> LearningCurves:
        """Those of a run that has logged nothing."""
        return cls(_typed([], LOSSES), _typed([], FIGURES))


def read_curves(events: Path) -> LearningCurves:
    """The curves of an `events.jsonl`; empty ones when there is none yet.

    What a run did again after it was resumed counts once, as it was the last time.
    """
    kept = _with_total_steps(_records(events, ('"step"', '"validation"')))
    losses = [record for record in kept if record["kind"] == "step"]
    figures = [
        {**record, "metric": label, "value": value}
        for record in kept
        if record["kind"] == "validation"
        for label, value in record["metrics"].items()
    ]
    return LearningCurves(_typed(losses, LOSSES), _typed(figures, FIGURES))


def best_figures(events: Path) -> Mapping[str, float]:
    """Metric label → value at the best validation of the latest stage that has one."""
    best = [record for record in _records(events, ('"validation"',)) if record["is_best"]]
    return dict(best[-1]["metrics"]) if best else {}


def best_epochs(events: Path) -> Mapping[str, int]:
    """Name of a stage → number of epochs up to its best validation."""
    kept = _with_total_steps(_records(events, ('"validation"',)))
    return {str(record["stage"]): int(record["epoch"]) for record in kept if record["is_best"]}


def thinned(frame: pd.DataFrame, n: int) -> pd.DataFrame:
    """At most `n` rows of a table in even distances, the last one among them; raises ValueError for n < 1."""
    if n < 1:
        raise ValueError(f"n = {n}: at least one row must stay.")
    every = -(-len(frame) // n)
    return frame if every <= 1 else frame.iloc[::-1].iloc[::every].iloc[::-1]


def _records(events: Path, kinds: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The events of some kinds, each kind as it is quoted in the file.

    A line that is still being written is left, and so is one that a full disk or another hand has spoilt.
    """
    if not events.exists():
        return
    starts = tuple(f'{{"kind": {kind}' for kind in kinds)
    with events.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith(starts) and line.endswith("}\n"):
                record = _parsed(line)
                if record is not None:
                    yield record


def _parsed(line: str) -> dict[str, Any] | None:
    """The event of a line; None when it is none of P5's."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if record.get("kind") == "validation" and "metrics" not in record:
        metrics = {label: value for label, value in record.items() if label not in NOT_METRICS}
        record = {**{key: record[key] for key in NOT_METRICS if key in record}, "metrics": metrics}
        record["is_best"] = record.pop("best", None)
    figures = [value for label, value in record.items() if label not in ("kind", "time", "stage", "metrics")]
    metrics = record.get("metrics", {})
    is_sound = isinstance(record.get("stage"), str) and isinstance(metrics, dict)
    is_sound = is_sound and all(
        value is None or isinstance(value, int | float) for value in (*figures, *metrics.values())
    )
    return record if is_sound and NEEDED[record["kind"]] <= record.keys() else None


def _typed(records: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    """A table whose columns have their types even when it is empty: axes are chosen by them."""
    return pd.DataFrame(records, columns=list(types)).astype(types)


def _with_total_steps(records: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what was done again later, and count steps on from stage to stage."""
    stages: list[str] = []
    kept: list[tuple[int, int, dict[str, Any]]] = []
    for record in records:
        if record["stage"] not in stages:
            stages.append(record["stage"])
        at = (stages.index(record["stage"]), record["step"])
        while kept and kept[-1][:2] > at:
            kept.pop()
        kept.append((*at, record))
    last = {stage: step for stage, step, _ in kept}
    before = {stage: sum(last.get(earlier, 0) for earlier in range(stage)) for stage in last}
    return [{**record, "step": before[stage] + step} for stage, step, record in kept]
