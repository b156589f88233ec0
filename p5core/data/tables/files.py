"""Table files of many formats as something DuckDB can select from."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd

from p5core.data.tables.columns import is_known_name
from p5core.data.tables.faults import json_fault, read_fault
from p5core.data.tables.sniff import Layout, Shape, sniff
from p5core.data.tables.sql import quote_text
from p5core.errors import DataError

__all__ = ["COMPRESSIONS", "SUFFIXES", "TableFiles", "find_files", "open_lines", "open_table"]

Format = Literal["text", "json", "parquet"]

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "text": (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".inter", ".item", ".user", ".base", ".test", ".log"),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}
COMPRESSIONS = (".gz", ".zst")


@dataclass(frozen=True)
class TableFiles:
    """Files of one format with equal columns."""

    format: Format
    files: tuple[Path, ...]
    relation: str
    """SQL table expression; columns of text files are VARCHAR, those of JSON Lines JSON"""
    columns: tuple[str, ...]
    source: str
    header_rows: int = 0
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """detected layout of text files, by option"""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small result; raises DataError when the files cannot be read."""
        return self._run(query).fetchall()

    def frame(self, query: str) -> pd.DataFrame:
        """A result as a DataFrame; raises DataError when the files cannot be read."""
        return self._run(query).df()

    def _run(self, query: str) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect().execute(query)
        except duckdb.Error as error:
            raise self.fault(error) from None

    def fault(self, error: duckdb.Error) -> DataError:
        """The error in words."""
        return json_fault(self.files, self.source, error) if self.format == "json" else read_fault(self.source, error)


def open_table(path: Path, layout: Layout, named: Sequence[str] = ()) -> TableFiles:
    """Look at a file, or at all files of a glob; a first line with a `named` column is a header.

    Raises DataError when there is no such file or they are no tables of equal columns.
    """
    files = find_files(path)
    formats = {_format(file) for file in files}
    if len(formats) > 1:
        raise DataError(f"{path} matches files of different formats: {', '.join(sorted(formats))}. Name one format.")
    source = files[0].name if len(files) == 1 else f"{path.name} ({len(files)} files)"
    match formats.pop():
        case "text":
            return _text(files, source, layout, named)
        case "json":
            return _json(files, source)
        case "parquet":
            return _parquet(files, source)


def find_files(path: Path) -> tuple[Path, ...]:
    """The file, or those that a pattern matches, sorted; raises DataError when there is none or one is empty."""
    if path.exists() or not glob.has_magic(str(path)):
        files = [path]
    else:
        files = [Path(match) for match in sorted(glob.glob(str(path), recursive=True)) if Path(match).is_file()]
    if not files:
        raise DataError(f"No file matches {path}. Check the pattern.")
    for file in files:
        if not file.is_file():
            hint = f"That is a folder; name its files, such as {path}/*.csv." if path.is_dir() else "Check the path."
            raise DataError(f"There is no file {path}. {hint}")
        if file.stat().st_size == 0:
            raise DataError(f"{file} is empty. Check the path.")
    return tuple(files)


def _format(file: Path) -> Format:
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in COMPRESSIONS]
    for name, endings in SUFFIXES.items():
        if suffixes and suffixes[-1] in endings:
            return name
    if not suffixes:
        return "text"
    listed = ", ".join(suffix for endings in SUFFIXES.values() for suffix in endings)
    raise DataError(f"{file}: unknown format '{suffixes[-1]}'. Known: {listed}; text and JSON also with .gz or .zst.")


def _listed(files: Sequence[Path]) -> str:
    return "[" + ", ".join(quote_text(glob.escape(str(file))) for file in files) + "]"


def _typed(columns: Sequence[str], kind: str) -> str:
    return "{" + ", ".join(f"{quote_text(column)}: '{kind}'" for column in columns) + "}"


def _refuse_different(first: Path, columns: Sequence[str], other: Path, others: Sequence[str]) -> None:
    if list(columns) != list(others):
        raise DataError(
            f"{other.name} has the columns {', '.join(others)}, but {first.name} has {', '.join(columns)}. Load files "
            "of equal columns together."
        )


def _text(files: tuple[Path, ...], source: str, layout: Layout, named: Sequence[str]) -> TableFiles:
    def shape_of(file: Path, known: Layout) -> Shape:
        return sniff(file, known, lambda cell: cell in named or is_known_name(cell))

    shape = shape_of(files[0], layout)
    settled = Layout(shape.separator, shape.header, shape.quote, layout.encoding, layout.columns)
    for file in files[1:]:
        _refuse_different(files[0], shape.columns, file, shape_of(file, settled).columns)
    relation = (
        f"read_csv({_listed(files)}, auto_detect = false, columns = {_typed(shape.columns, 'VARCHAR')}, "
        f"delim = {quote_text(shape.separator)}, header = {str(shape.header).lower()}, nullstr = '', "
        f"quote = {quote_text(shape.quote)}, escape = {quote_text(shape.quote)}, encoding = '{layout.encoding}')"
    )
    settings = {"separator": shape.separator, "header": shape.header, "quote": shape.quote}
    return TableFiles("text", files, relation, shape.columns, source, int(shape.header), shape.notes, settings)


def _json(files: tuple[Path, ...], source: str) -> TableFiles:
    layout = "auto" if all(".json" in file.suffixes for file in files) else "newline_delimited"
    options = f"{_listed(files)}, format = '{layout}'"
    table = TableFiles("json", files, f"read_json({options}, union_by_name = true)", (), source)
    columns = tuple(name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM {table.relation}"))
    return TableFiles("json", files, f"read_json({options}, columns = {_typed(columns, 'JSON')})", columns, source)


def _parquet(files: tuple[Path, ...], source: str) -> TableFiles:
    table = TableFiles("parquet", files, f"read_parquet({_listed(files)}, binary_as_string = true)", (), source)
    described = [
        sorted(name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM read_parquet({_listed([file])})"))
        for file in files
    ]
    for file, columns in zip(files[1:], described[1:], strict=True):
        _refuse_different(files[0], described[0], file, columns)
    names = tuple(name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM {table.relation}"))
    return TableFiles("parquet", files, table.relation, names, source)


def open_lines(path: Path) -> TableFiles:
    """A file, or all files of a glob, as one text column `line`; raises DataError when there is no such file."""
    files = find_files(path)
    # No text holds the separator, so a line is never split.
    relation = (
        f"read_csv({_listed(files)}, auto_detect = false, columns = {{'line': 'VARCHAR'}}, header = false, "
        "delim = '\x1f', quote = '', escape = '', strict_mode = false)"
    )
    return TableFiles("text", files, relation, ("line",), files[0].name)
