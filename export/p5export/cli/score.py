"""`p5 score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["score"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("events", metavar="EVENTS", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path))
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="Items a history.")
@click.option("--user-column", help="Column of the user; default: guessed.")
@click.option("--item-column", help="Column of the item; default: guessed.")
@click.option("--time-column", help="Column of the time; default: guessed, or the order of the file.")
@click.option("--time-format", help="Format of textual times, such as %d/%m/%Y; default: detected.")
@click.option("--day-first/--month-first", default=None, help="True if 01/02/2024 means 1 February; default: detected.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the model; default: all cores.")
@click.option("--memory", default="1GB", show_default=True, help="Memory for sorting; the rest goes to disk.")
def score(
    folder: Path,
    events: Path,
    output: Path,
    k: int,
    user_column: str | None,
    item_column: str | None,
    time_column: str | None,
    time_format: str | None,
    day_first: bool | None,
    threads: int | None,
    memory: str,
) -> None:
    """Recommend for every history in EVENTS with the export in FOLDER (or a zip), into the Parquet file OUT.

    EVENTS is Parquet or CSV. One row is an event (user, item, time), or, with a list column 'history', a whole
    history, oldest item first. OUT gets user, rank, item, score and the exported columns such as title.
    """
    from p5export.batch.histories import Columns
    from p5export.batch.recommend import score_file
    from p5export.bundle.bundle import opened
    from p5export.runtime import OnnxRecommender

    with opened(folder) as where, _progress() as bar:
        task = bar.add_task("reading", total=None)
        model = OnnxRecommender(where, threads=threads)
        counts = score_file(
            model, events, output, k, Columns(user_column, item_column, time_column, time_format, day_first),
            lambda done, total: bar.update(task, description="scoring", completed=done, total=total), memory,
        )  # fmt: skip
    for note in counts.notes:
        click.echo(f"Note: {note}", err=True)
    left_out = f" {counts.dropped:,} rows without an id or a time were left out." if counts.dropped else ""
    click.echo(f"{output}: the {k} best items for {counts.histories:,} histories of {counts.rows:,} rows.{left_out}")


def _progress() -> Progress:
    """A bar with the time left, where somebody can see it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("left"), console=console, transient=True, disable=not console.is_terminal)
