"""Table files of many formats as something DuckDB can select from."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb
import pandas as pd

from p5core.data.raw import FaultyLine
from p5core.data.tables.columns import is_known_name
from p5core.data.tables.faults import json_fault, read_fault
from p5core.data.tables.plain_text import PlainText, plain_json, plain_text
from p5core.data.tables.sniff import Layout, Shape, sniff
from p5core.data.tables.sql import NULL_WORDS, quote_text
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["COMPRESSIONS", "SUFFIXES", "TableFiles", "find_files", "open_lines", "open_table", "shown_names"]

Format = Literal["text", "json", "parquet"]
Result = TypeVar("Result")

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "text": (
        ".csv",
        ".tsv",
        ".tab",
        ".txt",
        ".dat",
        ".data",
        ".inter",
        ".item",
        ".user",
        ".base",
        ".test",
        ".log",
        ".xlsx",
        ".xls",
    ),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}
PARTS = {"train": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}
"""Names of parts of a log, in order of time."""

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz", ".zip")


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
    headers: tuple[int, ...] = ()
    """lines before the first row of each file; empty where all have `header_rows`"""
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """detected layout of text files, by option"""
    null_words: tuple[str, ...] = NULL_WORDS
    """texts that stand for a missing value"""
    each: tuple[str, ...] = ()
    """SQL table expression of each of several files, for counting rows"""
    scratch: Any = None
    """owner of temporary files that the relation reads"""
    faulty: tuple[FaultyLine, ...] = ()
    """lines of JSON that the relation leaves out; DuckDB itself collects those of text files"""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small result; raises DataError when the files cannot be read."""
        return self._run(query, duckdb.DuckDBPyConnection.fetchall)

    def frame(self, query: str) -> pd.DataFrame:
        """A result as a DataFrame; raises DataError when the files cannot be read."""
        return self._run(query, duckdb.DuckDBPyConnection.df)

    def _run(self, query: str, fetch: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        try:
            return fetch(duckdb.connect().execute(query))  # which reads on while it is fetched
        except duckdb.Error as error:
            raise self.fault(error) from None

    def fault(self, error: duckdb.Error) -> DataError:
        """The error in words."""
        return json_fault(self.files, self.source, error) if self.format == "json" else read_fault(self.source, error)


def open_table(path: Path, layout: Layout, named: Sequence[str] = (), drop_faulty: bool = False) -> TableFiles:
    """Look at a file, or at all files of a glob; a first line with a `named` column is a header.

    With `drop_faulty`, lines that are no rows of the table are left out. Raises DataError when there is no such file or
    they are no tables of equal columns.
    """
    files = find_files(path)
    formats = {_format(file) for file in files}
    if len(formats) > 1:
        raise DataError(f"{path} matches files of different formats: {', '.join(sorted(formats))}. Name one format.")
    source = files[0].name if len(files) == 1 else f"{path.name} ({len(files)} files)"
    match formats.pop():
        case "text":
            return _in_order(_text(files, source, layout, named, drop_faulty))
        case "json":
            return _in_order(_json(files, source, layout, drop_faulty))
        case "parquet":
            return _in_order(_parquet(files, source, layout))


def find_files(path: Path) -> tuple[Path, ...]:
    """The file, or those that a pattern matches, part-2 before part-10; raises DataError when there is none."""
    if path.exists() or not glob.has_magic(str(path)):
        files = [path]
    else:
        matches = sorted(glob.glob(str(path), recursive=True), key=_natural)
        files = [Path(match) for match in matches if Path(match).is_file()]
        if len(files) > 1:
            files = [file for file in files if file.stat().st_size > 0] or files
    if not files:
        raise DataError(f"No file matches {path}. Check the pattern.")
    for file in files:
        if not file.is_file():
            hint = f"That is a folder; name its files, such as {path}/*.csv." if path.is_dir() else "Check the path."
            raise DataError(f"There is no file {path}. {hint}")
        if file.stat().st_size == 0:
            raise DataError(f"{file} is empty. Check the path.")
    return tuple(files)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Key that sorts numbers within names by their size, and "train" before "valid" before "test", in any case."""
    part = rf"(?<![a-z])(?:{'|'.join(PARTS)})(?![a-z])"
    pieces = re.split(rf"(\d+|{part})", name, flags=re.IGNORECASE)
    return [
        (0, int(piece), "")
        if piece.isdigit()
        else (1, PARTS.get(piece.lower(), -1), "" if piece.lower() in PARTS else piece)
        for piece in pieces
    ]


def _in_order(table: TableFiles) -> TableFiles:
    """Add a note on the order of several files."""
    if len(table.files) == 1:
        return table
    names = ", ".join(shown_names(table.files)[:4]) + (", …" if len(table.files) > 4 else "")
    return replace(table, notes=(*table.notes, Message("files are read in this order: {names}", names=names)))


def shown_names(files: Sequence[Path]) -> list[str]:
    """The names of files, with their folders where two have one name."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else [f"{file.parent.name}/{file.name}" for file in files]


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
    if sorted(columns) != sorted(others):
        raise DataError(
            f"{other.name} has the columns {', '.join(others)}, but {first.name} has {', '.join(columns)}. Load files "
            "of equal columns together."
        )


def _text(files: tuple[Path, ...], source: str, layout: Layout, named: Sequence[str], drop_faulty: bool) -> TableFiles:
    plain = [plain_text(file, layout.encoding) for file in files]
    layout = replace(layout, separator=layout.separator or plain[0].separator, encoding=plain[0].encoding)

    def shape_of(text: PlainText, file: Path, known: Layout) -> Shape:
        shape = sniff(text.path, known, lambda cell: cell in named or is_known_name(cell))
        return replace(shape, notes=(*shape.notes, *text.notes(file)))

    shape = shape_of(plain[0], files[0], layout)
    settled = replace(layout, separator=shape.separator, header=shape.header, quote=shape.quote)
    shapes = [shape, *(shape_of(text, file, settled) for text, file in zip(plain[1:], files[1:], strict=True))]
    for file, other in zip(files[1:], shapes[1:], strict=True):
        _refuse_different(files[0], shape.columns, file, other.columns)
    each = [_read_csv(text, other, layout, drop_faulty) for text, other in zip(plain, shapes, strict=True)]
    counted = tuple(_read_csv(text, other, layout, True) for text, other in zip(plain, shapes, strict=True))
    relation = each[0]
    if len(files) > 1:
        together = len({other.columns for other in shapes}) == 1 and len({text.encoding for text in plain}) == 1
        union = " UNION ALL BY NAME ".join(f"FROM {table}" for table in each)
        relation = _read_csv(plain, shape, layout, drop_faulty) if together else f"({union})"
    headers = tuple(int(other.header) + text.n_skipped for text, other in zip(plain, shapes, strict=True))
    settings = {"separator": shape.separator, "header": shape.header, "quote": shape.quote}
    return TableFiles(
        "text", files, relation, shape.columns, source, headers[0], headers, shape.notes, settings, layout.null_words,
        counted, [text.scratch for text in plain],
    )  # fmt: skip


def _read_csv(text: PlainText | Sequence[PlainText], shape: Shape, layout: Layout, drop_faulty: bool) -> str:
    texts = [text] if isinstance(text, PlainText) else text
    escape = shape.quote if layout.escape is None else layout.escape
    words = [word for word in layout.null_words if not escape or escape not in word]  # which DuckDB refuses
    nulls = ", ".join(quote_text(word) for word in ("", *words))
    return (
        f"read_csv({_listed([part.path for part in texts])}, auto_detect = false, "
        f"columns = {_typed(shape.columns, 'VARCHAR')}, "
        f"delim = {quote_text(shape.separator)}, header = {str(shape.header).lower()}, nullstr = [{nulls}], "
        f"quote = {quote_text(shape.quote)}, escape = {quote_text(escape)}, encoding = '{texts[0].encoding}'"
        f"{', store_rejects = true' if drop_faulty else ''})"
    )


def _json(files: tuple[Path, ...], source: str, layout: Layout, drop_faulty: bool) -> TableFiles:
    plain = [plain_json(file, drop_faulty) for file in files]
    names, files = files, tuple(text.path for text in plain)
    lines = "auto" if all(".json" in file.suffixes for file in files) else "newline_delimited"

    def reading(listed: Sequence[Path], columns: str) -> str:
        return f"read_json({_listed(listed)}, format = '{lines}', {columns})"

    table = TableFiles("json", files, reading(files, "union_by_name = true, sample_size = -1"), (), source)
    columns = tuple(name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM {table.relation}"))
    typed = f"columns = {_typed(columns, 'JSON')}"
    each = tuple(reading([file], typed) for file in files)
    return replace(
        table, files=names, relation=reading(files, typed), columns=columns, null_words=layout.null_words, each=each,
        scratch=[text.scratch for text in plain], faulty=tuple(line for text in plain for line in text.faulty),
    )  # fmt: skip


def _parquet(files: tuple[Path, ...], source: str, layout: Layout) -> TableFiles:
    def reading(listed: Sequence[Path]) -> str:
        together = ", union_by_name = true" if len(listed) > 1 else ""  # in types that hold the values of all files
        return f"read_parquet({_listed(listed)}, binary_as_string = true{together})"

    table = TableFiles("parquet", files, reading(files), (), source)
    described = [[name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM {reading([file])}")] for file in files]
    for file, columns in zip(files[1:], described[1:], strict=True):
        _refuse_different(files[0], described[0], file, columns)
    names = tuple(name for name, *_ in table.rows(f"DESCRIBE SELECT * FROM {table.relation}"))
    each = tuple(reading([file]) for file in files)
    return replace(table, columns=names, null_words=layout.null_words, each=each)


def open_lines(path: Path) -> TableFiles:
    """A file, or all files of a glob, as one text column `line`; raises DataError when there is no such file."""
    files = find_files(path)
    # No text holds the separator, so a line is never split.
    relation = (
        f"read_csv({_listed(files)}, auto_detect = false, columns = {{'line': 'VARCHAR'}}, header = false, "
        "delim = '\x1f', quote = '', escape = '', strict_mode = false)"
    )
    return TableFiles("text", files, relation, ("line",), files[0].name)
