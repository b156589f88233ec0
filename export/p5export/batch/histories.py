"""The histories in a file, as a stream: DuckDB reads and sorts them, beyond its memory limit on disk."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.raw import RawData, Scan
from p5core.data.sql import quote_identifier, quote_text
from p5core.data.staging import Workspace, stage
from p5core.errors import DataError, did_you_mean
from p5export.artefact import Artefact

__all__ = ["Columns", "Histories", "History", "open_histories"]

RawId = str | int

GUESSES = {
    USER: ("user", "user_id", "userid", "uid", "customer_id", "session_id"),
    ITEM: ("item", "item_id", "itemid", "iid", "movie_id", "movieid", "product_id"),
    TIMESTAMP: ("timestamp", "time", "ts", "date", "datetime", "event_time"),
}
"""Names that are taken for a column that was not named, in any case."""

HISTORY = "history"
"""A list column of this name: one row is one history."""

ROWS = 2048
"""Rows that are held as Python objects; a row may be a long list."""

TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".csv.zst", ".tsv.zst", ".txt.zst")
PARQUET = (".parquet", ".pq")
INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


@dataclass(frozen=True)
class Columns:
    """Which columns of the file are what; None is guessed by name."""

    user: str | None = None
    item: str | None = None
    time: str | None = None


class History(NamedTuple):
    """What the model is asked about one user."""

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


@dataclass(frozen=True)
class _Table:
    """A file that DuckDB can read."""

    path: Path
    relation: str
    types: dict[str, str]
    """column → type"""

    def find(self, column: str, named: str | None) -> str | None:
        """The named column, or the first that is called like one; raises DataError when the named one is not there."""
        if named is not None:
            if named not in self.types:
                hint = did_you_mean(named, self.types) or f" Its columns: {', '.join(self.types)}."
                raise DataError(f"{self.path} has no column '{named}'.{hint}")
            return named
        lower = {name.lower(): name for name in reversed(list(self.types))}
        return next((lower[guess] for guess in GUESSES[column] if guess in lower), None)

    def need(self, column: str, named: str | None) -> str:
        """`find`; raises DataError when there is none."""
        found = self.find(column, named)
        if found is None:
            raise DataError(
                f"{self.path} has no column that looks like the {column}. Its columns: {', '.join(self.types)}. "
                f"Name one with --{column}-column."
            )
        return found


def open_histories(workspace: Workspace, path: Path, columns: Columns, artefact: Artefact) -> Histories:
    """The histories that an export is asked about; raises DataError for a file that cannot be used."""
    table = _open_table(workspace, path)
    if not artefact.uses_history:
        return _of_users(workspace, table, columns, str(artefact.about["user_kind"]))
    if columns.item is None and table.types.get(HISTORY, "").endswith("[]"):
        return _of_lists(workspace, table, columns, artefact.id_kind)
    if columns.item is None and table.find(ITEM, None) is None and HISTORY in table.types:
        raise DataError(
            f"{path}, column '{HISTORY}' has type {table.types[HISTORY]}; a history is a list of ids. Write it as a "
            "list column of a Parquet file, or give one row an event."
        )
    return _of_events(workspace, table, columns, artefact.id_kind)


def _open_table(workspace: Workspace, path: Path) -> _Table:
    """Raises DataError when a file is missing, empty, of another format or damaged."""
    if not path.is_file():
        raise DataError(f"There is no file {path}. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty. Check the path.")
    name = quote_text(glob.escape(str(path)))
    if path.name.lower().endswith(PARQUET):
        relation = f"read_parquet({name}, binary_as_string = true)"
    elif path.name.lower().endswith(TEXT):
        relation = f"read_csv({name}, all_varchar = true, header = true)"
    else:
        raise DataError(f"{path}: unknown format '{path.suffix}'. Known: {', '.join((*PARQUET, *TEXT))}.")
    types = dict(_rows(workspace, path, f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {relation})"))
    return _Table(path, relation, types)


def _rows(workspace: Workspace, path: Path, query: str) -> list[tuple[Any, ...]]:
    try:
        return workspace.rows(query)
    except duckdb.Error as error:
        raise DataError(f"{path} cannot be read: {str(error).strip().splitlines()[0].rstrip('.')}.") from None


def _of_events(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """Read events as the preparation of data does, then sort them; both spill to disk."""
    user, item = table.need(USER, columns.user), table.need(ITEM, columns.item)
    time = table.find(TIMESTAMP, columns.time)
    selected = [
        f'{_user_expression(workspace, table, user)} AS "{USER}"',
        f'{_id_expression(workspace, table, item, kind)} AS "{ITEM}"',
        *([f'{quote_identifier(time)} AS "{TIMESTAMP}"'] if time else []),
    ]
    query = f"SELECT {', '.join(selected)} FROM {table.relation}"
    staged = stage(workspace, RawData(Scan(query), source=str(table.path), header_rows=1 if _is_text(table) else 0))
    n_rows = workspace.count("events")
    if not n_rows:
        raise DataError(f"{table.path} has no row with a user and an item. Check the columns '{user}' and '{item}'.")
    query = 'SELECT "user", "item" FROM events ORDER BY "user", "time", "row"'
    user_type, events = _stream(workspace, table.path, query)

    def histories() -> Iterator[History]:
        for one, group in groupby(events, itemgetter(0)):
            history = [other for _, other in group]
            yield History(one, history, len(history))

    dropped = sum(one.rows for one in staged.dropped)
    return Histories(histories(), n_rows, dropped, user_type)


def _of_lists(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """One history a row, in the order of the file; without a user column, users are numbers of rows from 0."""
    _refuse_kind(table, HISTORY, table.types[HISTORY].removesuffix("[]"), kind)
    user = table.find(USER, columns.user)
    who = "row_number() OVER () - 1" if user is None else _user_expression(workspace, table, user)
    target = "BIGINT[]" if kind == "int64" else "VARCHAR[]"
    known = "" if user is None else f"WHERE {quote_identifier(user)} IS NOT NULL"
    n_all, n_rows = _rows(
        workspace, table.path, f"SELECT count(*), count({who if user else '*'}) FROM {table.relation}"
    )[0]
    _refuse_empty(table, n_rows)
    query = f'SELECT {who}, CAST("{HISTORY}" AS {target}) FROM {table.relation} {known}'
    user_type, rows = _stream(workspace, table.path, query)
    histories = (History(one, [item for item in items or () if item is not None], 1) for one, items in rows)
    return Histories(histories, n_rows, n_all - n_rows, user_type)


def _of_users(workspace: Workspace, table: _Table, columns: Columns, kind: str) -> Histories:
    """Every user once, sorted."""
    user = table.need(USER, columns.user)
    who = _id_expression(workspace, table, user, kind, "user")
    n_all, n_rows, n_users = _rows(
        workspace, table.path, f"SELECT count(*), count({who}), count(DISTINCT {who}) FROM {table.relation}"
    )[0]
    _refuse_empty(table, n_rows)
    query = f"SELECT DISTINCT {who} FROM {table.relation} WHERE {who} IS NOT NULL ORDER BY 1"
    user_type, users = _stream(workspace, table.path, query)
    return Histories((History(one, one, 1) for (one,) in users), n_users, n_all - n_rows, user_type)


def _refuse_empty(table: _Table, n_rows: int) -> None:
    if not n_rows:
        raise DataError(f"{table.path} has no rows with a user. Check the path and the columns.")


def _is_text(table: _Table) -> bool:
    return table.relation.startswith("read_csv")


def _user_expression(workspace: Workspace, table: _Table, user: str) -> str:
    """A user as BIGINT or VARCHAR. Text files have no types: users are integers where every one is written as one."""
    name, kind = quote_identifier(user), table.types[user]
    if kind in INTEGERS:
        return f"CAST({name} AS BIGINT)"
    if _is_text(table):
        is_same = f"CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) = {name}"
        query = f"SELECT count({name}) = count(*) FILTER ({is_same}) FROM {table.relation}"
        if _rows(workspace, table.path, query)[0][0]:
            return f"CAST({name} AS BIGINT)"
    elif kind != "VARCHAR" and not kind.startswith("ENUM") and kind != "UUID":
        raise DataError(
            f"{table.path}, column '{user}' has type {kind}; ids are texts or integers. Name another column."
        )
    return f"CAST({name} AS VARCHAR)"


def _id_expression(workspace: Workspace, table: _Table, column: str, kind: str, what: str = "item") -> str:
    """An id as the model knows it; raises DataError for a column, or a value of a text file, that cannot be one."""
    name = quote_identifier(column)
    if not _is_text(table):
        _refuse_kind(table, column, table.types[column], kind, what)
    elif kind == "int64":
        is_whole = f"regexp_full_match({name}, '[+-]?[0-9]+') AND TRY_CAST({name} AS BIGINT) IS NOT NULL"
        query = f"SELECT {name} FROM {table.relation} WHERE {name} IS NOT NULL AND NOT ({is_whole}) LIMIT 1"
        for (value,) in _rows(workspace, table.path, query):
            raise DataError(
                f"{table.path}, column '{column}': {value!r} is no 64-bit integer, but the {what} ids of this model "
                "are. Score with the ids that it was trained with."
            )
    return f"CAST({name} AS {'BIGINT' if kind == 'int64' else 'VARCHAR'})"


def _refuse_kind(table: _Table, column: str, found: str, kind: str, what: str = "item") -> None:
    is_text = found in ("VARCHAR", "UUID") or found.startswith("ENUM")
    if (kind == "string" and not is_text) or (kind == "int64" and found not in INTEGERS):
        wanted = "texts" if kind == "string" else "64-bit integers"
        raise DataError(
            f"{table.path}, column '{column}' has type {found}, but the {what} ids of this model are {wanted}. Score "
            "with the ids that it was trained with, or cast the column."
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
