"""The first events of a log, as preparation will read them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from p5core.data.columns import ITEM, RATING, TIMESTAMP, USER
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.staging import stage
from p5core.data.raw import RawData

__all__ = ["read_events"]


def read_events(head: RawData, n_rows: int = 10) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The first events as preparation will read them, times as dates, and what it guessed.

    Raises DataError, with row and column, for what cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="p5-", ignore_cleanup_errors=True) as folder,
        Workspace.open(Path(folder), "256MB") as workspace,
    ):
        staged = stage(workspace, head)
        rating = f', "rating" AS {RATING}' if staged.has_rating else ""
        columns = f'"user" AS {USER}, "item" AS {ITEM}, "time" AS {TIMESTAMP}{rating}'
        query = f'SELECT {columns} FROM events ORDER BY "p5_row" LIMIT {n_rows}'
        frame = workspace.connection.execute(query).df()
    if staged.has_clock:
        frame[TIMESTAMP] = frame[TIMESTAMP].astype("datetime64[us]").astype("datetime64[s]").astype("str")
    kept = [USER, ITEM, *([TIMESTAMP] if staged.has_clock else []), *([RATING] if staged.has_rating else [])]
    return frame[kept], staged.notes
