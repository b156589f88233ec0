"""The raw data that a loader returns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import duckdb
import pandas as pd

__all__ = ["FaultyLine", "IdType", "RawData", "Scan", "SourceFile", "TimeUnit"]

TimeUnit = Literal["s", "ms", "us", "ns", "step", "excel"]
"""Unit of numeric timestamps; "step" is a bare order without a clock, "excel" days since 1899-12-30."""

IdType = Literal["integer", "text"]
"""Type of ids."""


class FaultyLine(NamedTuple):
    """A line that is no row of its table."""

    place: str
    """file and line"""
    fault: str
    text: str


@dataclass(frozen=True)
class SourceFile:
    """One of several files of a log."""

    name: str
    count: str
    """SQL that counts its rows"""
    header_rows: int = 0
    """lines before its first row"""


@dataclass(frozen=True, eq=False)
class Scan:
    """Rows that DuckDB reads itself, so that a table larger than memory never passes through pandas."""

    query: str
    """A `SELECT` that yields the columns of `p5core.data.columns`, in file order."""

    files: tuple[SourceFile, ...] = ()
    """The files, in order, where there are several: messages name the one that a row is in."""

    scratch: Any = None
    """Owner of temporary files that the query reads; they are there as long as it is."""

    untyped: tuple[str, ...] = ()
    """USER or ITEM where the source says nothing of types: texts, which are integers if all of them are written so."""


@dataclass(frozen=True)
class RawData:
    """An interaction log as it was found, with the column names of `p5core.data.columns`."""

    interactions: pd.DataFrame | Scan
    """One row an event: user, item and, if known, timestamp, rating, event, weight, domain, and any further columns."""

    items: pd.DataFrame | None = None
    """One row an item: `item`, optionally `domain` and `title`, and any feature columns."""

    users: pd.DataFrame | None = None
    """One row a user: `user` and any feature columns."""

    impressions: pd.DataFrame | None = None
    """One row a list that was shown: user, timestamp, and the lists `shown` and `clicked` of item ids."""

    source: str = "data"
    """Name of the source in messages: a file name, or a URL without secrets."""

    time_unit: TimeUnit | None = None
    """Unit of numeric timestamps; None lets preparation guess it from their size."""

    time_format: str | None = None
    """Format of timestamps in texts, as of strptime; None lets preparation find one that fits the whole column."""

    day_first: bool | None = None
    """True if 01/02/2024 means 1 February. None detects it from the column; an ambiguous column is an error."""

    null_words: tuple[str, ...] | None = None
    """Texts that stand for a missing value; None: those of `p5core.data.tables.sql`."""

    id_types: Mapping[str, IdType] = field(default_factory=dict)
    """USER or ITEM → type of its ids; the others have the type that all ids of the column fit."""

    explode: bool = False
    """True if a cell may hold a list of items, which becomes a row for each."""

    where: str | None = None
    """Condition on the rows, as `p5core.data.tables.conditions` reads it; the others are left out."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Column of the source → its canonical name, for conditions that name the former."""

    event_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of an event by its kind; kinds without one are left out."""

    on_error: Literal["refuse", "drop"] = "refuse"
    """Refuse the log for a row that cannot be read, or leave the row out and report it."""

    faulty: Sequence[FaultyLine] = ()
    """Lines that the loader left out since they are no rows."""

    is_head: bool = False
    """True if these are only the first rows, so that later rows may resolve ambiguities."""

    header_rows: int = 0
    """Rows before the first event in the file, so that messages count as an editor does."""

    notes: tuple[str, ...] = ()
    """Sentences about guesses, for the report."""

    def column(self, name: str) -> str:
        """The column of the source that has a canonical name, for messages."""
        return next((column for column, canonical in self.renamed.items() if canonical == name), name)

    def place(self, row: int) -> str:
        """File and row of an event, as an editor counts rows; `row` counts all events from 1."""
        return self.places([row])[0]

    def places(self, rows: Sequence[int]) -> list[str]:
        """File and row of several events, ascending."""
        files = self.interactions.files if isinstance(self.interactions, Scan) else ()
        counts = [int(duckdb.connect().execute(file.count).fetchall()[0][0]) for file in files] if rows else []
        names, ends = [file.name for file in files] or [self.source], [*accumulate(counts)] or [0]
        headers = [file.header_rows for file in files] or [self.header_rows]
        places = []
        for row in rows:
            place = min(bisect_left(ends, row), len(names) - 1)
            before = ends[place - 1] if place > 0 else 0
            places.append(f"{names[place]}, row {headers[place] + row - before}")
        return places
