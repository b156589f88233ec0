"""`p5 example`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from p5core.data.raw import RawData
    from p5core.plugins.registry import Registry

__all__ = ["example"]

N_LATEST = 1_000
"""Events that are kept apart."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.pass_obj
def example(registry: Registry, folder: Path) -> None:
    """Fetch MovieLens-100K and write it into FOLDER as CSV files to try commands on.

    ratings.csv and movies.csv are the log and its items; yesterday.csv has the latest events, which ratings.csv lacks.
    """
    from p5core.errors import ConfigError

    taken = [name for name in ("ratings.csv", "movies.csv", "yesterday.csv") if (folder / name).exists()]
    if taken:
        raise ConfigError(f"{folder / taken[0]} exists and is left alone. Name another folder.")
    raw = registry.choose("loader", "movielens", "data").build().load()
    for path, n_rows in _write(raw, folder):
        click.echo(f"{path}: {n_rows:,} rows")


def _write(raw: RawData, folder: Path) -> Iterator[tuple[Path, int]]:
    """Write ratings.csv, movies.csv and, with the latest events, yesterday.csv; yields each file and its rows."""
    import duckdb

    from p5core.data.columns import ITEM, RATING, TIMESTAMP, USER
    from p5core.data.raw import Scan
    from p5core.system.files import write_text

    events = raw.interactions
    frame = duckdb.connect().execute(events.query).df() if isinstance(events, Scan) else events
    ordered = frame.sort_values(TIMESTAMP, kind="stable")[[USER, ITEM, RATING, TIMESTAMP]]
    tables = {"ratings.csv": ordered.iloc[:-N_LATEST], "yesterday.csv": ordered.iloc[-N_LATEST:]}
    if raw.items is not None:
        tables["movies.csv"] = raw.items
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_text(folder / name, _csv(table))
        yield folder / name, len(table)


def _csv(table: pd.DataFrame) -> str:
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text
