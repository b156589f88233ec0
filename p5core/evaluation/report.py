"""MetricResults as a table for people and as plain values for files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from p5core.contracts.metric import Metric
from p5core.evaluation.metric_results import MetricResult
from p5core.system.messages import Message

__all__ = ["MetricResults", "plain_intervals", "plain_values", "protocol_note", "results_table"]

MetricResults = Mapping[str, Mapping[str, MetricResult]]
"""Scorer ("model", "popularity" …) → metric label → figure."""


def results_table(figures: MetricResults, metrics: Sequence[Metric], title: str = "") -> Table:
    """A table with one row a metric and one column a scorer; the best value of each row is bold."""
    table = Table(title=title or None)
    table.add_column("metric")
    for scorer in figures:
        table.add_column(scorer, justify="right")
    for metric in metrics:
        row = [by_label[metric.label] for by_label in figures.values()]
        best = _best([figure.value for figure in row], metric.higher_is_better)
        cells = [f"[bold]{_text(figure)}[/bold]" if figure.value == best else _text(figure) for figure in row]
        table.add_row(metric.label, *cells)
    return table


def _best(values: Sequence[float], higher_is_better: bool) -> float:
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return math.nan
    return max(defined) if higher_is_better else min(defined)


def _text(figure: MetricResult) -> str:
    if math.isnan(figure.value):
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})"


def protocol_note(metrics: Sequence[Metric], candidates: int, exclude_seen: bool) -> Message:
    """One sentence that says what the figures compare."""
    if not any(metric.needs in ("ranks", "lists") for metric in metrics):
        return Message("Predicted values compared with those of the held-out events.")
    if candidates:
        return Message(
            "NOT full ranking: each user's targets compete with {candidates} sampled items alone. Such figures are far "
            "higher than those of full ranking, can order models differently, and must not be compared with them.",
            candidates=candidates,
        )
    if exclude_seen:
        return Message("Full ranking: the targets compete with the whole catalogue; items of the history are left out.")
    return Message("Full ranking: the targets compete with the whole catalogue; items of the history compete as well.")


def plain_values(figures: MetricResults) -> dict[str, dict[str, float | None]]:
    """Scorer → metric label → value; None where it is undefined, as JSON has no NaN."""
    return {
        scorer: {label: None if math.isnan(figure.value) else figure.value for label, figure in by_label.items()}
        for scorer, by_label in figures.items()
    }


def plain_intervals(figures: MetricResults) -> dict[str, dict[str, list[float]]]:
    """Scorer → metric label → [low, high] of the 95 % interval, where there is one."""
    return {
        scorer: {
            label: [figure.low, figure.high]
            for label, figure in by_label.items()
            if figure.low is not None and figure.high is not None and not math.isnan(figure.low)
        }
        for scorer, by_label in figures.items()
    }
