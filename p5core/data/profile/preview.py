"""A preview of a log, before preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import pandas as pd

from p5core.data.raw import RawData, Scan

__all__ = ["PREVIEWED_ROWS", "Preview", "first_rows", "preview_of"]

PREVIEWED_ROWS = 10


@dataclass(frozen=True, eq=False)
class Preview:
    """The first rows of a source and their interpretation by a loader."""

    preview: pd.DataFrame
    """rows as they stand in the source, under its own column names"""

    columns: Mapping[str, str | list[str]]
    """name of `p5core.data.columns` → column of the source, or several that are the time together"""

    head: RawData | None
    """events of the first rows; None while it is not known which columns they are"""

    notes: tuple[str, ...] = ()
    """sentences about guesses"""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """options left open → guessed values"""

    fault: str = ""
    """reason why there is no head, and a remedy"""


def first_rows(raw: RawData, n_rows: int) -> RawData:
    """The log cut to a maximum number of rows."""
    events = raw.interactions
    if isinstance(events, Scan):
        return replace(
            raw,
            interactions=replace(events, query=f"SELECT * FROM ({events.query}) LIMIT {n_rows}", files=()),
            is_head=True,
        )
    return replace(raw, interactions=events.head(n_rows), is_head=True)


def preview_of(raw: RawData, n_rows: int) -> Preview:
    """A preview of a loaded log, whose columns have canonical names."""
    head = first_rows(raw, n_rows)
    events = first_rows(raw, PREVIEWED_ROWS).interactions
    preview = duckdb.connect().execute(events.query).df() if isinstance(events, Scan) else events
    return Preview(preview, {str(name): str(name) for name in preview.columns}, head, raw.notes)
