"""Reading raw rows into DuckDB: ids, times and ratings as they must be, or a sentence that says where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from p5core.data.columns import DOMAIN, EVENT, ITEM, RATING, TIMESTAMP, USER
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.timestamps import time_in_microseconds
from p5core.data.profile.report import Dropped
from p5core.data.raw import RawData
from p5core.data.tables.sql import quote_identifier
from p5core.data.vocabulary import PAD_INT
from p5core.errors import DataError, did_you_mean
from p5core.system.messages import Message

__all__ = ["Staged", "StagedField", "stage"]

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
EXACT_FLOATS = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Type → where its integers begin to have gaps."""

FLOATS = set(EXACT_FLOATS)

NUMBERS = INTEGERS | FLOATS | {"BOOLEAN"}

KNOWN_COLUMNS = (USER, ITEM, TIMESTAMP, RATING, EVENT, DOMAIN)
"""Columns that are read without being named."""


@dataclass(frozen=True)
class Staged:
    """The table `events`: row, user, item (raw ids), domain, time, and a column for each field."""

    n_read: int
    dropped: tuple[Dropped, ...]
    has_clock: bool
    fields: tuple[StagedField, ...]
    has_domain: bool
    """True if rows have a domain; otherwise all belong to one"""
    notes: tuple[str, ...]

    @property
    def has_rating(self) -> bool:
        """True if the events have ratings."""
        return any(field.name == RATING for field in self.fields)


@dataclass(frozen=True)
class StagedField:
    """One value an event beside user, item and time."""

    name: str
    column: str
    """of the table `events`"""
    is_number: bool


def stage(workspace: Workspace, raw: RawData, fields: Sequence[str] = ()) -> Staged:
    """Fill the table `events` from raw rows, with the further columns `fields`; raises DataError for faulty rows."""
    types, notes = _load(workspace, raw, fields)
    n_read = workspace.count("raw")
    if n_read == 0:
        raise DataError(f"{raw.source} has no rows. Check the path and the header option.")
    user, item = (_id(workspace, raw, types, column) for column in (USER, ITEM))
    staged_fields, expressions = _fields(workspace, raw, types)
    moment = time_in_microseconds(workspace, raw, types)
    domain = _domain(workspace, raw, types)
    workspace.run(
        f'CREATE TABLE staged AS SELECT "row", {user} AS "user", {item} AS "item", {domain} AS "domain", '
        f'{moment.expression} AS "time"{expressions} FROM raw'
    )
    workspace.run("DROP TABLE raw")
    dropped = _drop_incomplete(workspace)
    notes = (*raw.notes, *notes, *moment.notes)
    return Staged(n_read, dropped, moment.is_clock, staged_fields, DOMAIN in types, notes)


def _load(workspace: Workspace, raw: RawData, fields: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Make the table `raw` with a row number in the order of the source; returns its columns' types, and notes."""
    if isinstance(raw.interactions, pd.DataFrame):
        _refuse_twice(raw)
        _refuse_mixed(raw)
        workspace.connection.register("source", raw.interactions)
        query = "SELECT * FROM source"
    else:
        query = raw.interactions.query
    try:
        names = [name for name, *_ in workspace.rows(f"DESCRIBE SELECT * FROM ({query})")]
        used, unused = _used_columns(raw, names, fields)
        selected = ", ".join(quote_identifier(name) for name in used)
        workspace.run(f'CREATE TABLE raw AS SELECT row_number() OVER () AS "row", {selected} FROM ({query})')
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DataError(f"{raw.source} cannot be read: {_first_line(error)}.") from None
    types = {name: kind for name, kind, *_ in workspace.rows("DESCRIBE raw") if name != "row"}
    note = f"columns that are not used: {', '.join(unused)}; keep them with prepare.fields" if unused else ""
    return types, (note,) if note else ()


def _used_columns(raw: RawData, names: Sequence[str], fields: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that are read and those that are left; raises DataError for one that is missing."""
    missing = [column for column in (USER, ITEM, *fields) if column not in names]
    if missing:
        near = did_you_mean(missing[0], names)
        raise DataError(f"{raw.source} has no column '{missing[0]}'.{near} Its columns: {', '.join(names)}.")
    used = [name for name in names if name in (*KNOWN_COLUMNS, *fields)]
    return used, [name for name in names if name not in used]


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _refuse_twice(raw: RawData) -> None:
    assert isinstance(raw.interactions, pd.DataFrame)
    twice = raw.interactions.columns[raw.interactions.columns.duplicated()].tolist()
    if twice:
        raise DataError(f"{raw.source} has two columns '{twice[0]}'. Rename or remove one of them.")


def _refuse_mixed(raw: RawData) -> None:
    """DuckDB would turn integers among strings into text; say so instead."""
    assert isinstance(raw.interactions, pd.DataFrame)
    for column in (USER, ITEM):
        if column not in raw.interactions or raw.interactions[column].dtype != object:
            continue
        values = raw.interactions[column].dropna()
        is_text = values.map(lambda value: isinstance(value, str))
        if is_text.any() and not is_text.all():
            place = int(np.argmax((is_text != is_text.iloc[0]).to_numpy()))
            row = np.flatnonzero(raw.interactions[column].notna())[place] + 1
            raise DataError(
                f"{raw.source}, row {_shown_row(raw, int(row))}, column '{column}': {values.iloc[place]!r} is of "
                "another type than the ids before it. Make all ids strings or all ids integers."
            )


def _id(workspace: Workspace, raw: RawData, types: dict[str, str], column: str) -> str:
    """The SQL expression of an id column: BIGINT or VARCHAR."""
    kind = types[column]
    if kind in INTEGERS | FLOATS:
        _refuse_inexact(workspace, raw, column, kind)
        return f'TRY_CAST("{column}" AS BIGINT)'  # NULL where a float is none
    if kind == "VARCHAR" or kind.startswith("ENUM") or kind == "UUID":
        return f'CAST("{column}" AS VARCHAR)'
    if kind == '"NULL"' or kind == "NULL":
        return f'CAST("{column}" AS VARCHAR)'
    if kind == "JSON":
        raise DataError(
            f"{raw.source}, column '{column}' mixes types of ids. Make all ids strings or all ids integers."
        )
    raise DataError(
        f"{raw.source}, column '{column}' has type {kind}; ids must be strings or integers. Name another column."
    )


def _refuse_inexact(workspace: Workspace, raw: RawData, column: str, kind: str) -> None:
    """An integer column with gaps arrives as floats: fractions are no ids, and large floats stand for several."""
    is_exact = f'TRY_CAST("{column}" AS BIGINT) IS NOT NULL'
    if kind in FLOATS:
        is_exact = f'isnan("{column}") OR ("{column}" = floor("{column}") AND abs("{column}") < {EXACT_FLOATS[kind]})'
    inexact = workspace.rows(
        f'SELECT "row", "{column}" FROM raw WHERE "{column}" IS NOT NULL AND NOT ({is_exact}) ORDER BY "row" LIMIT 1'
    )
    if inexact:
        row, value = inexact[0]
        is_large = kind in FLOATS and value == value // 1
        fault = "is too large to be exact as a float" if is_large else "is no id"
        raise DataError(
            f"{raw.source}, row {_shown_row(raw, row)}, column '{column}': {value} {fault}; ids must be strings or "
            "64-bit integers."
        )


def _fields(workspace: Workspace, raw: RawData, types: dict[str, str]) -> tuple[tuple[StagedField, ...], str]:
    """The fields of the events and the SQL that selects them."""
    fields: list[StagedField] = []
    expressions = []
    for name in [column for column in types if column not in (USER, ITEM, TIMESTAMP, DOMAIN)]:
        column = RATING if name == RATING else f"field_{len(fields)}"
        is_number = name == RATING or _is_number(workspace, name, types[name])
        text = f"nullif(CAST({quote_identifier(name)} AS VARCHAR), '')"
        cast = f"CAST({text} AS FLOAT)" if is_number else text
        expressions.append(f", {_rating(workspace, raw) if name == RATING else cast} AS {column}")
        fields.append(StagedField(name, column, is_number))
    return tuple(fields), "".join(expressions)


def _is_number(workspace: Workspace, name: str, kind: str) -> bool:
    """True if a column holds numbers, in a numeric or a text type."""
    if kind != "VARCHAR":
        return kind in NUMBERS or kind.startswith("DECIMAL")
    column = f"nullif({quote_identifier(name)}, '')"
    is_numeric = workspace.row(
        f"SELECT bool_and(TRY_CAST({column} AS DOUBLE) IS NOT NULL) FILTER ({column} IS NOT NULL) FROM raw"
    )
    return bool(is_numeric[0])


def _rating(workspace: Workspace, raw: RawData) -> str:
    """The SQL expression of the rating; every one must be a finite number."""
    number = f'TRY_CAST("{RATING}" AS FLOAT)'
    faulty = workspace.rows(
        f'SELECT "row", "{RATING}" FROM raw WHERE {number} IS NULL OR NOT isfinite({number}) ORDER BY "row" LIMIT 1'
    )
    if faulty:
        row, value = faulty[0]
        shown = "missing" if value is None else repr(value)
        raise DataError(
            f"{raw.source}, row {_shown_row(raw, row)}, column '{RATING}': the rating is {shown}; ratings must be "
            "finite numbers. Remove such rows, or leave the rating column out."
        )
    return number


def _domain(workspace: Workspace, raw: RawData, types: dict[str, str]) -> str:
    """The SQL expression of the domain; an item without one could not be told from those of others."""
    if DOMAIN not in types:
        return "'default'"
    name = f'CAST("{DOMAIN}" AS VARCHAR)'
    missing = workspace.rows(f"SELECT \"row\" FROM raw WHERE coalesce({name}, '') = '' ORDER BY \"row\" LIMIT 1")
    if missing:
        raise DataError(
            f"{raw.source}, row {_shown_row(raw, missing[0][0])}, column '{DOMAIN}': the domain is missing. "
            "Name one in every row, or leave the column out."
        )
    return name


def _shown_row(raw: RawData, row: int) -> int:
    """The row as an editor counts it."""
    return raw.header_rows + row


def _drop_incomplete(workspace: Workspace) -> tuple[Dropped, ...]:
    """Make `events` of the rows with both ids and a time."""
    types = {name: kind for name, kind, *_ in workspace.rows("DESCRIBE staged")}
    no_id = " OR ".join(_is_no_id(column, types[column]) for column in (USER, ITEM))
    without_id, without_time = workspace.row(
        f'SELECT count(*) FILTER ({no_id}), count(*) FILTER (NOT ({no_id}) AND "time" IS NULL) FROM staged'
    )
    if without_id or without_time:
        workspace.run(f'CREATE TABLE events AS SELECT * FROM staged WHERE NOT ({no_id}) AND "time" IS NOT NULL')
        workspace.run("DROP TABLE staged")
    else:
        workspace.run("ALTER TABLE staged RENAME TO events")
    return (
        Dropped(
            Message("no user or item id (empty text, text with a NUL and {padding} are no ids)", padding=PAD_INT),
            int(without_id),
        ),
        Dropped(Message("no timestamp"), int(without_time)),
    )


def _is_no_id(column: str, kind: str) -> str:
    """The SQL condition of a missing id, of padding, and of text that clients in C++ and JavaScript would cut."""
    if kind == "BIGINT":
        return f'"{column}" IS NULL OR "{column}" = {PAD_INT}'
    return f'"{column}" IS NULL OR "{column}" = \'\' OR contains("{column}", chr(0))'
