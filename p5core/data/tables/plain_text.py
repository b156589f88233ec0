"""Files that DuckDB cannot read as they stand, written anew in a temporary folder.

Text: encodings other than UTF-8, UTF-16 and Latin-1, compression other than gzip and Zstandard, mixed line ends, Excel
workbooks, and lines before or between the rows (blank ones, comments after "#", "sep=;"). JSON: lines written as Python
dictionaries, and one object that holds all others under their ids.
"""

from __future__ import annotations

import ast
import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import shutil
import weakref
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, BinaryIO, cast

import pandas as pd
import pyarrow as pa

from p5core.data.raw import FaultyLine
from p5core.data.tables.columns import is_known_name
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["PlainJson", "PlainText", "Scratch", "plain_json", "plain_text", "unpacked"]

NATIVE = {"utf-8": "utf-8", "utf-16": "utf-16", "latin-1": "latin-1"}
"""Python's names of encodings → those of DuckDB, which decodes these itself."""

HEAD_BYTES = 65_536
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip
"""Longer ones first, for that of UTF-32 begins as that of UTF-16. DuckDB reads UTF-16 with the low byte first alone."""
SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*")
COMMENTS = ("#", "%")
"""Beginnings of comment lines, as SNAP and KONECT write them."""

SEPARATORS = "\t,;|"
LINES_LOOKED_AT = 50
EXCEL = (".xlsx", ".xls")
EXACT = 2**53
"""Largest whole number up to which all are exact in a workbook."""

KEY = "key"
"""Column of the ids of an object of objects."""

LONGEST_SHOWN = 200
"""Characters of a faulty line that are kept."""


class Scratch:
    """A temporary folder that is removed with this object."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="p5-text-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class PlainText:
    """A text file as DuckDB can read it."""

    path: Path
    encoding: str
    separator: str | None = None
    """as Excel's first line names it"""
    n_skipped: int = 0
    """lines before the first row"""
    n_comments: int = 0
    left_sheets: tuple[str, ...] = ()
    """sheets of a workbook with other columns than the first"""
    scratch: Any = None
    """owner of `path` where that is temporary"""

    def notes(self, file: Path) -> tuple[str, ...]:
        """Notes on lines that were left out."""
        comments = Message("{n} comment lines of {file} are left out", n=self.n_comments, file=file.name)
        other = "sheets of {file} with other columns than the first are left out: {sheets}"
        sheets = Message(other, file=file.name, sheets=", ".join(self.left_sheets))
        return ((comments,) if self.n_comments else ()) + ((sheets,) if self.left_sheets else ())


def plain_text(file: Path, encoding: str) -> PlainText:
    """The file itself, or a copy that DuckDB can read; raises DataError when it cannot be unpacked or decoded."""
    if file.suffix.lower() in EXCEL:
        return _workbook(file)
    try:
        name = codecs.lookup(encoding).name.replace("iso8859-1", "latin-1")
        "".encode(encoding)  # raises LookupError for codecs between bytes, such as hex
    except (LookupError, UnicodeError):
        raise DataError(
            f"encoding = '{encoding}' is unknown. Name one of Python's, such as 'cp1252' or 'gbk'."
        ) from None
    try:
        with unpacked(file) as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError, pa.ArrowInvalid, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise DataError(f"{file} cannot be opened or unpacked: {error}.") from None
    if not head:
        raise DataError(f"{file} is empty. Check the path.")
    name = next((marked for mark, marked in BYTE_ORDER_MARKS.items() if head.startswith(mark)), name)
    is_packed = file.suffix.lower() in (".bz2", ".xz", ".zip") or (
        file.suffix.lower() != ".gz" and _starts_with(file, GZIP)
    )
    lines = head.decode(name, errors="replace").removeprefix("\ufeff")
    if name in NATIVE and not is_packed and not _is_unusual(lines):
        return PlainText(file, NATIVE[name])
    return _rewritten(file, name)


def _starts_with(file: Path, mark: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(mark)) == mark


def unpacked(file: Path) -> BinaryIO:
    """The unpacked bytes; of an archive, those of its only file."""
    match file.suffix.lower():
        case ".bz2":
            return cast(BinaryIO, bz2.open(file))
        case ".xz":
            return cast(BinaryIO, lzma.open(file))
        case ".zip":
            archive = zipfile.ZipFile(file)
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if len(names) != 1:
                raise DataError(f"{file} holds {len(names)} files; one is expected. Unpack it, and name the right one.")
            return cast(BinaryIO, archive.open(names[0]))
        case ".zst":
            return cast(BinaryIO, pa.input_stream(str(file), compression="zstd"))
    return cast(BinaryIO, gzip.open(file) if _starts_with(file, GZIP) else file.open("rb"))


def _is_unusual(text: str) -> bool:
    """True if lines must be left out or their ends made equal."""
    first = text.split("\n", 1)[0]
    ends = set(re.findall(r"\r\n|\n|\r(?!\n)", text))
    return bool(
        len(ends) > 1 or not first.strip() or SEP_LINE.fullmatch(first) or re.search(r"^[#%]", text, re.MULTILINE)
    )


def _rows_are_marked(lines: Sequence[str]) -> bool:
    """True if lines that begin like comments have as many cells as the others, so that they are rows or a header."""
    marked = [line for line in lines if line.startswith(COMMENTS)]
    rows = [line for line in lines if line.strip() and not line.startswith(COMMENTS)][:LINES_LOOKED_AT]
    if rows and lines[0] in marked and any(_names_columns(rows[0], mark) for mark in SEPARATORS):
        return False  # the header stands below them
    counts = [{mark: line.count(mark) for mark in SEPARATORS} for line in (*marked, *rows)]
    return any(
        counts[0][mark] and len({count[mark] for count in counts}) == 1
        for mark in (SEPARATORS if marked and rows else "")
    )


def _names_columns(line: str, mark: str) -> bool:
    """True if two cells of a line or more are called as columns are."""
    return sum(is_known_name(cell.strip().strip('"')) for cell in line.split(mark)) > 1


def _rewritten(file: Path, encoding: str) -> PlainText:
    scratch = Scratch()
    target = scratch.folder / (file.name.split(".")[0] + ".csv")
    n_skipped = n_comments = 0
    separator, has_begun, is_quoted = None, False, False
    with unpacked(file) as stream:
        head = io.TextIOWrapper(io.BytesIO(stream.read(HEAD_BYTES)), encoding=encoding, errors="replace")
        keeps_marked = _rows_are_marked([line.rstrip("\n") for line in head][:-1])
    with unpacked(file) as stream, target.open("w", encoding="utf-8", newline="") as out:
        text = io.TextIOWrapper(stream, encoding=encoding, newline=None)
        try:
            for line in text:
                line = line.removeprefix("\ufeff")
                mark = None if has_begun else SEP_LINE.fullmatch(line.rstrip("\n"))
                is_comment = not keeps_marked and not is_quoted and line.startswith(COMMENTS)
                if mark or is_comment or (not has_begun and not line.strip()):
                    separator = mark.group(1) if mark else separator
                    n_skipped += not has_begun
                    n_comments += is_comment
                    continue
                has_begun = True
                is_quoted ^= line.count('"') % 2 == 1
                out.write(line)
        except (UnicodeDecodeError, OSError, EOFError, lzma.LZMAError) as error:
            raise DataError(f"{file.name} cannot be read as {encoding}: {error}. Set another encoding.") from None
    return PlainText(target, "utf-8", separator, n_skipped, n_comments, scratch=scratch)


def _workbook(file: Path) -> PlainText:
    """All sheets of a workbook whose columns are those of the first, one after the other."""
    try:
        sheets = pd.read_excel(file, sheet_name=None, engine="calamine", dtype=object)
    except ImportError:
        raise DataError(f"{file} is an Excel file, which needs python-calamine: pip install 'p5rec[excel]'.") from None
    except Exception as error:  # calamine's errors have no base of their own
        raise DataError(f"{file} is no Excel file or is damaged: {error}.") from None
    for name, frame in sheets.items():
        _refuse_inexact(f"{file.name}, sheet {name}", frame)
    first = next(iter(sheets.values()))
    alike = [frame for frame in sheets.values() if set(frame.columns) == set(first.columns)]
    others = tuple(name for name, frame in sheets.items() if set(frame.columns) != set(first.columns) and len(frame))
    scratch = Scratch()
    target = scratch.folder / f"{file.stem}.csv"
    pd.concat(alike, ignore_index=True).to_csv(target, index=False)
    return PlainText(target, "utf-8", ",", left_sheets=others, scratch=scratch)


def _refuse_inexact(place: str, sheet: pd.DataFrame) -> None:
    """Raise DataError for the first whole number that a workbook, which stores floats, cannot hold exactly."""
    for name in sheet.columns:
        numbers = pd.to_numeric(sheet[name], errors="coerce")
        large = (numbers.abs() > EXACT) & ~sheet[name].map(lambda value: isinstance(value, str))
        if large.any():
            row = int(large.to_numpy().argmax())
            raise DataError(
                f"{place}, row {row + 2}, column '{name}': {sheet[name].iloc[row]} has more digits than a number of a "
                "workbook keeps. Store such values as texts."
            )


@dataclass(frozen=True, eq=False)
class PlainJson:
    """JSON Lines that DuckDB can read."""

    path: Path
    scratch: Scratch | None = None
    """owner of a temporary file"""
    faulty: tuple[FaultyLine, ...] = ()
    """lines that were left out"""


def plain_json(file: Path, drop_faulty: bool = False) -> PlainJson:
    """The file itself, or its rows as JSON Lines in a temporary folder; with `drop_faulty`, without malformed lines."""
    with unpacked(file) as stream:
        content = stream.read(HEAD_BYTES)
    has_mark = content.startswith(codecs.BOM_UTF8)
    head = content.decode("utf-8-sig", errors="replace").lstrip()
    first = head.split("\n", 1)[0].strip()
    is_python = first.startswith(("{'", "{u'", '{"')) and first.endswith("}") and not _is_json(first)
    is_one_line = "\n" not in head.strip()
    has_inner = re.match(r"\{\s*\"[^\"]*\"\s*:\s*\{", head) is not None
    is_nested = has_inner and (not first.endswith("}") or (is_one_line and _holds_objects(first)))
    is_packed = file.suffix.lower() in (".bz2", ".xz", ".zip")
    if drop_faulty and not is_nested and _has_a_record_a_line(content):
        return _without_faulty_lines(file)
    if not (is_python or is_nested or is_packed or has_mark):
        return PlainJson(file)
    scratch = Scratch()
    target = scratch.folder / f"{file.name.split('.')[0]}.jsonl"
    with unpacked(file) as stream, target.open("w", encoding="utf-8") as out:
        if is_nested:
            for key, row in json.loads(_decoded(stream.read(), file.name)).items():
                out.write(json.dumps({KEY: key, **row} if isinstance(row, dict) else {KEY: key, "value": row}) + "\n")
        else:
            for number, line in enumerate(stream, start=1):
                place = f"{file.name}, line {number}"
                text = _decoded(line, place)
                out.write(text if not is_python else _as_json(text, place))
    return PlainJson(target, scratch)


def _has_a_record_a_line(content: bytes) -> bool:
    """True if most of the first lines are objects; in other forms of JSON a line may happen to be one."""
    lines = [line for line in content.splitlines()[:LINES_LOOKED_AT] if line.strip()]
    n_objects = sum(_object_in(line)[0] is not None for line in lines)
    return 2 * n_objects > len(lines) and not content.lstrip().startswith(b"[\n")


def _without_faulty_lines(file: Path) -> PlainJson:
    scratch = Scratch()
    target = scratch.folder / f"{file.name.split('.')[0]}.jsonl"
    faulty = []
    with unpacked(file) as stream, target.open("w", encoding="utf-8") as out:
        for number, line in enumerate(stream, start=1):
            row, fault = _object_in(line)
            if row is not None:
                out.write(json.dumps(row) + "\n")
            elif line.strip():
                shown = line.strip().decode("utf-8", errors="replace")[:LONGEST_SHOWN]
                faulty.append(FaultyLine(f"{file.name}, line {number}", fault, shown))
    return PlainJson(target, scratch, tuple(faulty))


def _object_in(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """The object in a line of JSON, or as Python writes it; otherwise None, and what is wrong."""
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None, "not valid UTF-8"
    for read in (json.loads, ast.literal_eval):
        try:
            row = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return (row, "") if isinstance(row, dict) else (None, "no object")
    return None, "malformed JSON"


def _holds_objects(line: str) -> bool:
    """True for a JSON object of several objects."""
    try:
        values = json.loads(line).values()
    except (ValueError, AttributeError, RecursionError):
        return False
    return len(values) > 1 and all(isinstance(value, dict) for value in values)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{place}: not valid UTF-8. Repair it, or write the file anew as UTF-8.") from None


def _as_json(line: str, place: str) -> str:
    if not line.strip():
        return ""
    try:
        return json.dumps(ast.literal_eval(line.strip())) + "\n"
    except (ValueError, SyntaxError) as error:
        raise DataError(f"{place}: neither JSON nor a Python dictionary ({error}). Repair the line.") from None
