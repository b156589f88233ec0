"""MetricResults of stored runs as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["stored_table", "wide_console"]


def stored_table(metrics: Mapping[str, Any], part: str, title: str) -> Table:
    """One row a metric and one column a scorer, from a run's `metrics.json`; intervals in brackets."""
    table = Table(title=title)
    table.add_column("metric")
    for scorer in metrics[part]:
        table.add_column(scorer, justify="right")
    for label in metrics[part]["model"]:
        table.add_row(label, *(_cell(metrics, part, scorer, label) for scorer in metrics[part]))
    return table


def _cell(metrics: Mapping[str, Any], part: str, scorer: str, label: str) -> str:
    value = metrics[part][scorer].get(label)
    if value is None:
        return "–"
    interval = metrics["intervals"][part][scorer].get(label)
    return f"{value:.4f}" + (f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else "")


def wide_console() -> Console:
    """A console as wide as the terminal; in a pipe or a file, wide enough that no table loses letters."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 200))
