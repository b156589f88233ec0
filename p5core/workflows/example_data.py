"""A log of anybody's as the CSV files that most people have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd

from p5core.data.columns import ITEM, RATING, TIMESTAMP, USER
from p5core.data.raw import RawData, Scan
from p5core.system.files import write_text

__all__ = ["write_example"]

N_LATEST = 1_000
"""Events that are kept apart."""


def write_example(raw: RawData, folder: Path) -> Iterator[tuple[Path, int]]:
    """Write ratings.csv, movies.csv and, with the latest events, yesterday.csv; yields each file and its rows."""
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
