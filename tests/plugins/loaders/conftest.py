"""What the tests of loaders share."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from p5core.data.raw import RawData, Scan
from p5core.data.tables.columntypes import is_integer
from p5core.data.tables.sql import cell

Write = Callable[[str, str | bytes], Path]
Rows = Callable[[RawData], pd.DataFrame]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of a name and content, packed as its suffix says."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        if path.suffix == ".zst":
            data = pa.Codec("zstd").compress(data, asbytes=True)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return make


@pytest.fixture
def rows() -> Rows:
    """Runs the query of a loader and decides the types of ids, as preparation does."""

    def read(raw: RawData) -> pd.DataFrame:
        if isinstance(raw.interactions, Scan):
            numbered = f"SELECT row_number() OVER () AS n, * FROM ({raw.interactions.query})"
            connection = duckdb.connect()
            typed = []
            for name in raw.interactions.untyped:
                text = cell(name, raw.null_words)
                test = f"SELECT bool_and({is_integer(text)}) FROM ({raw.interactions.query}) WHERE {text} IS NOT NULL"
                are_integers = connection.execute(test).fetchall()[0][0]
                typed.append(f"{f'CAST({text} AS BIGINT)' if are_integers else text} AS {name}")
            replaced = f"REPLACE ({', '.join(typed)})" if typed else ""
            frame = connection.execute(f"SELECT * EXCLUDE (n) {replaced} FROM ({numbered}) ORDER BY n").df()
            return frame[[name for name in frame if not name.startswith("file.")]]  # those are for conditions
        return raw.interactions

    return read
