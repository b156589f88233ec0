"""Figures of stored runs as tables."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table

from p5core.runs.documents import Metrics
from p5core.system.text import cell

__all__ = ["stored_table", "wide_console"]


def stored_table(metrics: Metrics, part: Literal["validation", "test"], title: str) -> Table:
    """One row a metric and one column a scorer, of a finished run; intervals in brackets."""
    figures, intervals = getattr(metrics, part), metrics.intervals.get(part, {})
    table = Table(title=title)
    table.add_column("metric")
    for scorer in figures:
        table.add_column(scorer, justify="right")
    for label in figures["model"]:
        cells = [cell(figures[scorer].get(label), intervals.get(scorer, {}).get(label)) for scorer in figures]
        table.add_row(label, *cells)
    return table


def wide_console() -> Console:
    """A console as wide as the terminal; in a pipe or a file, wide enough that no table loses letters."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 200))
