"""The raw data that a loader returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

__all__ = ["RawData", "Scan", "TimeUnit"]

TimeUnit = Literal["s", "ms", "us", "ns", "step"]
"""Unit of numeric timestamps; "step" is a bare order without a clock."""


@dataclass(frozen=True)
class Scan:
    """Rows that DuckDB reads itself, so that a table larger than memory never passes through pandas."""

    query: str
    """A `SELECT` that yields the columns of `p5core.data.columns`, in file order."""


@dataclass(frozen=True)
class RawData:
    """An interaction log as it was found, with the column names of `p5core.data.columns`."""

    interactions: pd.DataFrame | Scan
    """One row an event: user, item and, if known, timestamp, rating, event, domain, and any further columns."""

    items: pd.DataFrame | None = None
    """One row an item: `item`, optionally `domain` and `title`, and any feature columns."""

    users: pd.DataFrame | None = None
    """One row a user: `user` and any feature columns."""

    source: str = "data"
    """Name of the source in messages: a file name, or a URL without secrets."""

    time_unit: TimeUnit | None = None
    """Unit of numeric timestamps; None lets preparation guess it from their size."""

    time_format: str | None = None
    """Format of timestamps in texts, as of strptime; None lets preparation find one that fits the whole column."""

    day_first: bool | None = None
    """True if 01/02/2024 means 1 February. None detects it from the column; an ambiguous column is an error."""

    is_head: bool = False
    """True if these are only the first rows, so that later rows may resolve ambiguities."""

    header_rows: int = 0
    """Rows before the first event in the file, so that messages count as an editor does."""

    notes: tuple[str, ...] = ()
    """Sentences about guesses, for the report."""
