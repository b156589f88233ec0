"""Kinds of events in a log that counts them all alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pandas as pd

from p5core.data.raw import RawData, Scan
from p5core.data.tables.columns import LOOKED_AT, MAX_KINDS, find_event_column
from p5core.data.tables.conditions import parse_condition
from p5core.data.tables.sql import cell, plain_code_sql, quote_identifier

__all__ = ["EventKinds", "event_kinds"]

BOOLEANS = ("true", "false")
YES, NO = {"1", "true", "yes", "y", "t", "clicked", "click"}, {"0", "false", "no", "n", "f"}


@dataclass(frozen=True)
class EventKinds:
    """A column that looks like the kind of event, and how often each kind occurs."""

    column: str
    counts: Mapping[str, int]
    """kind → rows, the most frequent first"""

    @property
    def wanted(self) -> str | None:
        """The kind that says yes, where the other one says no: rows of the latter were shown and not wanted."""
        yes = [kind for kind in self.counts if kind.lower() in YES]
        has_no = any(kind.lower() in NO for kind in self.counts)
        return yes[0] if has_no and len(yes) == 1 and len(self.counts) == 2 else None

    @property
    def rarest(self) -> str:
        """The least frequent kind, which is the last step of a funnel."""
        return list(self.counts)[-1]

    def condition(self, kind: str) -> str:
        """The condition that keeps one kind."""
        column = self.column if self.column.isidentifier() else f"`{self.column}`"
        value = kind if kind.isdecimal() or kind in BOOLEANS else "'" + kind.replace("'", "''") + "'"
        return f"{column} = {value}"

    def sentence(self) -> str:
        """The kinds with their counts, in one line."""
        return ", ".join(f"{' '.join(kind.split())} {count:,}" for kind, count in self.counts.items())


def event_kinds(raw: RawData) -> EventKinds | None:
    """The kinds of events of a log, unless its options choose among them; reads one column of it."""
    if raw.event_weights:
        return None
    events = raw.interactions
    connection = duckdb.connect()
    if isinstance(events, Scan):
        relation = f"({events.query})"
    else:
        connection.register("events", events)
        relation = "events"
    head = connection.execute(f"SELECT * FROM {relation} LIMIT {LOOKED_AT}").df()
    chosen = parse_condition(raw.where).columns if raw.where else ()
    column = find_event_column(head.drop(columns=[name for name in head.columns if name in chosen]))
    if column is None:
        return None
    name = quote_identifier(column)
    kind = plain_code_sql(cell(f"CAST({name} AS VARCHAR)", raw.null_words))
    counted: pd.DataFrame = connection.execute(
        f"SELECT {kind} AS kind, count(*) AS n FROM {relation} WHERE kind IS NOT NULL "
        f"GROUP BY kind ORDER BY n DESC, kind LIMIT {MAX_KINDS + 1}"
    ).df()
    if not 1 < len(counted) <= MAX_KINDS:
        return None
    return EventKinds(column, dict(zip(counted["kind"].tolist(), counted["n"].tolist(), strict=True)))
