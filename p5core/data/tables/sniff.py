"""Detection of the layout of a text table from its beginning."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from p5core.data.tables.sql import NULL_WORDS
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["Layout", "Shape", "sniff"]

SEPARATORS = {",": "comma", "\t": "tab", "::": "::", ";": "semicolon", "|": "|", " ": "space"}
"""Candidate separators in order of preference → their names in messages."""

ESCAPES = {r"\t": "\t", r"\u0001": "\u0001", r"\x01": "\u0001"}
"""Separators as people write them in a shell."""

HEAD_BYTES = 65_536
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """Layout options of a text table; None is detected."""

    separator: str | None = None
    header: bool | None = None
    quote: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    """names of the columns, for a table without a header or in place of one"""
    escape: str | None = None
    """character before a quotation mark that belongs to the text; by default the mark itself"""
    null_words: tuple[str, ...] = NULL_WORDS


@dataclass(frozen=True)
class Shape:
    """The layout of a text table."""

    separator: str
    header: bool
    quote: str
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def sniff(file: Path, layout: Layout, is_name: Callable[[str], bool]) -> Shape:
    """Guess what `layout` leaves open; a first row with a cell for which `is_name` holds is a header.

    Raises DataError when the file has no line or cannot be decoded.
    """
    head = _head(file, layout.encoding)
    named = ESCAPES.get(layout.separator or "", layout.separator)
    separator = named or max(SEPARATORS, key=lambda one: _agreement(head, one))
    quote = _quote(head, separator) if layout.quote is None else layout.quote
    first = _cells(head[:1], separator, quote)[0]
    header = _is_header(first, is_name, layout.columns) if layout.header is None else layout.header
    if layout.columns and len(layout.columns) != len(first):
        raise DataError(
            f"{file.name} has {len(first)} columns, and columns names {len(layout.columns)}. Name each of them."
        )
    numbered = tuple(f"column{place}" for place in range(len(first)))
    columns = layout.columns or (_names(first) if header else numbered)
    guesses = ["separator {separator}"] if layout.separator is None else []
    if layout.header is None:
        guesses.append("a header line" if header else "no header line")
    shown = SEPARATORS.get(separator, repr(separator))
    note = Message(f"guessed {' and '.join(guesses)}", separator=Message(shown))
    return Shape(separator, header, quote, columns, (note,) if guesses else ())


def _head(file: Path, encoding: str) -> list[str]:
    """The first whole lines."""
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            head: bytes = stream.read(HEAD_BYTES)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file} cannot be opened or unpacked: {error}.") from None
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    lines = text.splitlines()
    if len(head) == HEAD_BYTES and len(lines) > 1:
        lines.pop()
    if not lines:
        raise DataError(f"{file} is empty. Check the path.")
    if "\ufffd" in lines[0]:
        raise DataError(f"{file.name}, line 1: not valid {encoding}. Set encoding, such as 'cp1252'.")
    return lines


def _agreement(head: Sequence[str], separator: str) -> tuple[float, int]:
    """Number of lines with as many cells as the first line, and that number of cells; 0 for a single cell."""
    counts = [len(cells) for cells in _cells(head, separator, '"') if cells]
    if not counts or counts[0] < 2:
        return 0.0, 0
    return sum(count == counts[0] for count in counts) / len(counts), counts[0]


def _cells(lines: Sequence[str], separator: str, quote: str) -> list[list[str]]:
    if len(separator) > 1 or not quote:
        return [line.split(separator) for line in lines]
    return list(csv.reader(lines, delimiter=separator, quotechar=quote))


def _quote(head: Sequence[str], separator: str) -> str:
    """Comma-separated files quote; others if most cells that begin with a quotation mark end with one."""
    quoted = [cell for line in head for cell in line.split(separator) if cell.startswith('"')]
    closed = [cell for cell in quoted if len(cell) > 1 and cell.endswith('"')]
    return '"' if separator in (",", ";") or 2 * len(closed) > len(quoted) else ""


def _is_header(cells: Sequence[str], is_name: Callable[[str], bool], columns: Sequence[str]) -> bool:
    """True if a first row has no number, or a known name; where the columns are named, if most cells are names."""
    if columns:
        return 2 * sum(is_name(cell) or cell.strip() in columns for cell in cells) > len(cells)
    return any(is_name(cell) for cell in cells) or not any(NUMBER.fullmatch(cell.strip()) for cell in cells)


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """Every column gets a name of its own, in any case: to SQL, `User` and `user` are one."""
    names: list[str] = []
    for place, cell in enumerate(cells):
        name = cell.strip() or f"column{place}"
        taken = {other.lower() for other in names}
        names.append(f"{name}_{place}" if name.lower() in taken else name)
    return tuple(names)
