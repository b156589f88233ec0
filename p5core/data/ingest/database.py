"""The temporary database in which logs are cleaned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["Workspace"]


@dataclass(frozen=True)
class Workspace:
    """A temporary DuckDB database that spills to disk beyond its memory limit."""

    connection: duckdb.DuckDBPyConnection

    @classmethod
    @contextmanager
    def open(cls, folder: Path, memory_limit: str) -> Iterator[Workspace]:
        """Make the database in `folder`; it is closed at the end."""
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(folder / "spill"),
            "threads": os.cpu_count() or 1,
        }
        with duckdb.connect(folder / "work.duckdb", config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield cls(connection)

    def run(self, query: str, parameters: list[Any] | None = None) -> None:
        """Run a statement."""
        self.connection.execute(query, parameters)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        """The only row of a result."""
        return self.rows(query)[0]

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.row(f"SELECT count(*) FROM {table}")[0])
