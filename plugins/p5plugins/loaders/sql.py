"""Databases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from pydantic import Field
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from p5core.config.base import expand_variables
from p5core.contracts.loader import Loader
from p5core.data.columns import ITEM, USER
from p5core.data.raw import RawData
from p5core.data.tables.columns import pick_columns
from p5core.data.tables.metadata import tidy_metadata
from p5core.data.tables.options import ColumnOptions
from p5core.errors import DataError

__all__ = ["SQL", "SQLConfig"]


class SQLConfig(ColumnOptions):
    """Options of the sql loader."""

    url: str = Field(repr=False)
    """SQLAlchemy URL such as postgresql://reader:${PASSWORD}@host/shop, or path of a DuckDB file."""

    query: str
    """SQL query for the events, in order."""

    items_query: str | None = None
    """SQL query for the items; columns other than the id become features."""

    users_query: str | None = None
    """SQL query for the users; columns other than the id become features."""


class SQL(Loader):
    """Queries to any database that SQLAlchemy supports, or to a DuckDB file.

    Messages never show the password. Name it by a variable, as in ${PASSWORD}, so that runs do not store it.
    """

    name = "sql"
    path_option = None
    reads_only_paths = False
    Config = SQLConfig
    config: SQLConfig

    def load(self) -> RawData:
        """Run the queries; raises DataError when the database refuses."""
        config = self.config
        database = _open(expand_variables(config.url))
        events, mapping = pick_columns(config, database.select(config.query), "the query")
        items = database.select(config.items_query) if config.items_query else None
        users = database.select(config.users_query) if config.users_query else None
        items, item_notes = tidy_metadata(items, ITEM, "the items_query")
        users, user_notes = tidy_metadata(users, USER, "the users_query")
        return RawData(
            events,
            items=items,
            users=users,
            source=database.shown,
            **config.reading,
            renamed=mapping.renamed,
            notes=(*mapping.notes, *item_notes, *user_notes),
        )


class _DuckDBFile:
    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"There is no DuckDB file {path}, and that is no SQLAlchemy URL either. Check the url.")
        self.path = path
        self.shown = path.name

    def select(self, query: str) -> pd.DataFrame:
        try:
            with duckdb.connect(self.path, read_only=True) as connection:
                return connection.execute(query).df()
        except duckdb.Error as error:
            raise DataError(f"{self.shown} refused the query: {_first_line(error)}.") from None


class _Database:
    def __init__(self, url: URL) -> None:
        self.url = url
        self.shown = url.set(query={}).render_as_string(hide_password=True)
        if (
            url.get_backend_name() == "sqlite"
            and not (url.database or "").startswith("file:")
            and not Path(url.database or "").is_file()
        ):
            raise DataError(f"There is no SQLite file {url.database}. Check the url.")

    def select(self, query: str) -> pd.DataFrame:
        try:
            engine = create_engine(self.url, poolclass=NullPool)
            with engine.connect() as connection:
                # A colon begins no parameter here: '12:30' and x::text are SQL of the user's.
                result = connection.execute(text(query.replace(":", r"\:")))
                return _frame(result.fetchall(), list(result.keys()))
        except ModuleNotFoundError as error:
            raise DataError(f"{self.shown} needs the driver '{error.name}'. Install it with pip.") from None
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise DataError(f"{self.shown} refused the query: {self._without_secrets(_first_line(error))}.") from None

    def _without_secrets(self, message: str) -> str:
        for secret in (self.url.password, *self.url.query.values()):
            for value in (secret,) if isinstance(secret, str) else secret or ():
                message = message.replace(value, "***") if value else message
        return message


def _frame(rows: Sequence[Sequence[Any]], names: list[str]) -> pd.DataFrame:
    """The rows of a result; a gap among integers does not make them floats, which would round large ones."""
    frame = pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)
    for name in names if len(set(names)) == len(names) else ():
        values = frame[name].dropna()
        is_whole = len(values) > 0 and values.map(lambda value: type(value) is int).all()
        fits = is_whole and values.map(lambda value: -(2**63) <= value < 2**63).all()
        frame[name] = frame[name].astype("Int64") if fits else frame[name].infer_objects()
    return frame


def _open(url: str) -> _DuckDBFile | _Database:
    if "://" not in url or url.startswith("duckdb:///"):
        return _DuckDBFile(Path(url.removeprefix("duckdb:///")).expanduser())
    try:
        return _Database(make_url(url))
    except ArgumentError:
        raise DataError("The url is no SQLAlchemy URL; one looks like dialect://user:password@host/database.") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
