"""The histories in a file, as a stream: DuckDB reads and sorts them, beyond its memory limit on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.staging import stage
from p5core.data.raw import RawData, Scan
from p5core.data.tables.columns import LOOKED_AT, guess_column, likely_times
from p5core.data.tables.files import SUFFIXES, TableFiles, open_table
from p5core.data.tables.sniff import Layout
from p5core.data.tables.sql import quote_identifier
from p5core.errors import DataError, did_you_mean
from p5export.bundle.bundle import Bundle

__all__ = ["Columns", "Histories", "History", "open_histories"]

RawId = str | int

HISTORY = "history"
"""A list column of this name: one row is one history."""

ROWS = 2048
"""Rows that are held as Python objects; a row may be a long list."""

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
LARGE_INTEGERS = {"UBIGINT", "HUGEINT"}
"""Those of which some are no 64-bit integers."""


@dataclass(frozen=True)
class Columns:
    """Columns of the file; None is guessed by name."""

    user: str | None = None
    item: str | None = None
    time: str | None = None
    time_format: str | None = None
    """format of times in texts, as of strptime; found otherwise"""
    day_first: bool | None = None
    """True if 01/02/2024 means 1 February; detected from the column when None"""


class History(NamedTuple):
    """A request about one user."""

    user: RawId
    who: list[RawId] | RawId
    """item ids, oldest first, or the user for a model of users"""
    rows: int
    """rows of the file"""

    @property
    def length(self) -> int:
        """Ids that the model reads."""
        return len(self.who) if isinstance(self.who, list) else 1


@dataclass(frozen=True)
class Histories:
    """The histories of a file, to be read once."""

    stream: Iterator[History]
    rows: int
    """rows of the file that they are made of"""
    dropped: int
    """rows without a user, an item or, where there is such a column, a time"""
    user_type: pa.DataType
    notes: tuple[str, ...] = ()
    """sentences about guesses"""


@dataclass(frozen=True)
class _Table:
    """A file that DuckDB can read."""

    path: Path
    files: TableFiles
    types: dict[str, str]
    """column → type; text files have texts alone"""

    @property
    def relation(self) -> str:
        """The SQL table expression to select from."""
        return self.files.relation

    @property
    def is_text(self) -> bool:
        """True for a text file, whose columns have no types."""
        return self.files.format == "text"

    def find(self, column: str, named: str | None) -> str | None:
        """The named column, or the first that is called like one; raises DataError when the named one is not there."""
        if named is not None:
            if named not in self.types:
                hint = did_you_mean(named, self.types) or f" Its columns: {', '.join(self.types)}."
                raise DataError(f"{self.path} has no column '{named}'.{hint}")
            return named
        return guess_column(column, list(self.types))

    def need(self, column: str, named: str | None) -> str:
        """`find`; raises DataError when there is none."""
        name = self.find(column, named)
        if name is None:
            raise DataError(
                f"{self.path} has no column that looks like the {column}. Its columns: {', '.join(self.types)}. "
                f"Name one with --{column}-column."
            )
        return name


def open_histories(workspace: Workspace, path: Path, columns: Columns, bundle: Bundle) -> Histories:
    """The histories that an export is asked about; raises DataError for a file that cannot be used."""
    table = _open_table(workspace, path, columns)
    if not bundle.uses_history:
        return _of_users(workspace, table, columns, str(bundle.manifest["user_kind"]))
    if columns.item is None and table.types.get(HISTORY, "").endswith("[]"):
        return _of_lists(workspace, table, columns, bundle.id_kind)
    if columns.item is None and table.find(ITEM, None) is None and HISTORY in table.types:
        raise DataError(
            f"{path}, column '{HISTORY}' has type {table.types[HISTORY]}; a history is a list of ids. Write it as a "
            "list column of a Parquet file, or give one row an event."
        )
    return _of_events(workspace, table, columns, bundle.id_kind)


def _open_table(workspace: Workspace, path: Path, columns: Columns) -> _Table:
    """Read a file as the loader of tables does; raises DataError when it is missing, damaged or of another kind."""
    if path.is_file() and path.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(SUFFIXES["json"]):
        raise DataError(f"{path}: JSON is not read here. Give a Parquet or a text file.")
    named = [name for name in (columns.user, columns.item, columns.time) if name]
    files = open_table(path, Layout(), [*named, HISTORY])
    query = f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {files.relation})"
    table = _Table(path, files, {})
    return replace(table, types=dict(_rows(workspace, table, query)))


def _rows(workspace: Workspace, table: _Table, query: str) -> list[tuple[Any, ...]]:
    try:
        return workspace.rows(query)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise table.files.fault(error) from None


def _of_events(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """Read events as the preparation of data does, then sort them; both spill to disk."""
    user, item = table.need(USER, columns.user), table.need(ITEM, columns.item)
    time = table.find(TIMESTAMP, columns.time)
    selected = [
        f'{_user_expression(workspace, table, user)} AS "{USER}"',
        f'{_id_expression(workspace, table, item, kind)} AS "{ITEM}"',
        *([f'{quote_identifier(time)} AS "{TIMESTAMP}"'] if time else []),
    ]
    whole = ", ".join(f"count({quote_identifier(name)})" for name in table.types if table.is_text) or "1"
    _rows(workspace, table, f"SELECT {whole} FROM {table.relation}")  # finds a line that is cut otherwise
    query = f"SELECT {', '.join(selected)} FROM {table.relation}"
    raw = RawData(
        Scan(query),
        source=table.files.source,
        time_format=columns.time_format,
        day_first=columns.day_first,
        header_rows=table.files.header_rows,
    )
    staged = stage(workspace, raw)
    n_rows = workspace.count("events")
    if not n_rows:
        raise DataError(f"{table.path} has no row with a user and an item. Check the columns '{user}' and '{item}'.")
    query = 'SELECT "user", "item" FROM events ORDER BY "user", "time", "p5_row"'
    user_type, events = _stream(workspace, table.path, query)

    def histories() -> Iterator[History]:
        for user, group in groupby(events, itemgetter(0)):
            history = [other for _, other in group]
            yield History(user, history, len(history))

    dropped = sum(step.rows for step in staged.dropped)
    return Histories(histories(), n_rows, dropped, user_type, (*staged.notes, *_unused(table, [user, item, time])))


def _unused(table: _Table, used: list[str | None]) -> tuple[str, ...]:
    """Name the columns that look like times where none is taken as the time."""
    if used[-1] is not None:
        return ()
    head = table.files.frame(f"SELECT * FROM {table.relation} LIMIT {LOOKED_AT}")
    names = likely_times(head, {column for column in used if column})
    return tuple(f"'{name}' looks like a time and is not used; take it with --time-column {name}" for name in names)


def _of_lists(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """One history a row, in the order of the file; without a user column, users are numbers of rows from 0."""
    _refuse_kind(table, HISTORY, table.types[HISTORY].removesuffix("[]"), kind)
    user = table.find(USER, columns.user)
    who = "row_number() OVER () - 1" if user is None else _user_expression(workspace, table, user)
    target = "BIGINT[]" if kind == "int64" else "VARCHAR[]"
    where = "" if user is None else f"WHERE {quote_identifier(user)} IS NOT NULL"
    n_all, n_rows = _rows(workspace, table, f"SELECT count(*), count({who if user else '*'}) FROM {table.relation}")[0]
    _refuse_empty(table, n_rows)
    query = f'SELECT {who}, CAST("{HISTORY}" AS {target}) FROM {table.relation} {where}'
    user_type, rows = _stream(workspace, table.path, query)
    histories = (History(row, [item for item in items or () if item is not None], 1) for row, items in rows)
    return Histories(histories, n_rows, n_all - n_rows, user_type)


def _of_users(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """Every user once, sorted."""
    user = table.need(USER, columns.user)
    who = _id_expression(workspace, table, user, kind, "user")
    n_all, n_rows, n_users = _rows(
        workspace, table, f"SELECT count(*), count({who}), count(DISTINCT {who}) FROM {table.relation}"
    )[0]
    _refuse_empty(table, n_rows)
    query = f"SELECT DISTINCT {who} FROM {table.relation} WHERE {who} IS NOT NULL ORDER BY 1"
    user_type, users = _stream(workspace, table.path, query)
    return Histories((History(row, row, 1) for (row,) in users), n_users, n_all - n_rows, user_type)


def _refuse_empty(table: _Table, n_rows: int) -> None:
    if not n_rows:
        raise DataError(f"{table.path} has no rows with a user. Check the path and the columns.")


def _user_expression(workspace: Workspace, table: _Table, user: str) -> str:
    """A user as BIGINT or VARCHAR. Text files have no types: users are integers where every one is written as one."""
    name, kind = quote_identifier(user), table.types[user]
    if kind in INTEGERS | LARGE_INTEGERS:
        _refuse_large(workspace, table, user)
        return f"CAST({name} AS BIGINT)"
    if table.is_text:
        is_same = f"CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) = {name}"
        query = f"SELECT count({name}) = count(*) FILTER ({is_same}) FROM {table.relation}"
        if _rows(workspace, table, query)[0][0]:
            return f"CAST({name} AS BIGINT)"
    elif kind != "VARCHAR" and not kind.startswith("ENUM") and kind != "UUID":
        raise DataError(
            f"{table.path}, column '{user}' has type {kind}; ids are texts or integers. Name another column."
        )
    return f"CAST({name} AS VARCHAR)"


def _id_expression(workspace: Workspace, table: _Table, column: str, kind: str, what: str = "item") -> str:
    """An id as the model knows it; raises DataError for a column, or a value of a text file, that cannot be one."""
    name = quote_identifier(column)
    if not table.is_text:
        _refuse_kind(table, column, table.types[column], kind, what)
        _refuse_large(workspace, table, column)
    elif kind == "int64":
        is_whole = f"regexp_full_match({name}, '[+-]?[0-9]+') AND TRY_CAST({name} AS BIGINT) IS NOT NULL"
        query = f"SELECT {name} FROM {table.relation} WHERE {name} IS NOT NULL AND NOT ({is_whole}) LIMIT 1"
        for (value,) in _rows(workspace, table, query):
            raise DataError(
                f"{table.path}, column '{column}': {value!r} is no 64-bit integer, but the {what} ids of this model "
                "are. Score with the ids that it was trained with."
            )
    return f"CAST({name} AS {'BIGINT' if kind == 'int64' else 'VARCHAR'})"


def _refuse_large(workspace: Workspace, table: _Table, column: str) -> None:
    """Raise DataError for an unsigned or larger integer that 64 bits with a sign do not hold."""
    if table.types[column] not in LARGE_INTEGERS:
        return
    name = quote_identifier(column)
    query = (
        f"SELECT {name} FROM {table.relation} WHERE {name} IS NOT NULL AND TRY_CAST({name} AS BIGINT) IS NULL LIMIT 1"
    )
    for (value,) in _rows(workspace, table, query):
        raise DataError(
            f"{table.path}, column '{column}': {value} is no 64-bit integer. Score with the ids that the model was "
            "trained with."
        )


def _refuse_kind(table: _Table, column: str, actual: str, kind: str, what: str = "item") -> None:
    is_text = actual in ("VARCHAR", "UUID") or actual.startswith("ENUM")
    if (kind == "string" and not is_text) or (kind == "int64" and actual not in INTEGERS | LARGE_INTEGERS):
        expected = "texts" if kind == "string" else "64-bit integers"
        raise DataError(
            f"{table.path}, column '{column}' has type {actual}, but the {what} ids of this model are {expected}. "
            "Score with the ids that it was trained with, or cast the column."
        )


def _stream(workspace: Workspace, path: Path, query: str) -> tuple[pa.DataType, Iterator[tuple[Any, ...]]]:
    """Type of the first column, and the rows, to be read once; they raise DataError where the file is damaged."""
    reader = workspace.connection.sql(query).to_arrow_reader(ROWS)

    def rows() -> Iterator[tuple[Any, ...]]:
        try:
            for batch in reader:
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}") from None

    return reader.schema.field(0).type, rows()
