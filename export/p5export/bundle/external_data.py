"""External data files named by an ONNX file, found without opening it with a library."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from p5core.errors import ExportError

__all__ = ["external_files"]

CHILDREN = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
    "Entry": {},
}
"""Message → field number → message, as far as tensors lie behind it (onnx.proto)."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""


def external_files(path: Path) -> set[str]:
    """Locations that tensors of an ONNX file name as their data; raises ExportError for what is no ONNX file."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"location") < 0:
            return set()
        with memoryview(content) as view:
            try:
                return {location for location in _locations(view, "Model") if location}
            except (IndexError, UnicodeDecodeError, RecursionError):
                raise ExportError(f"{path} is no ONNX file, or a damaged one.") from None


def _locations(message: memoryview, kind: str) -> Iterator[str]:
    """Values of the entries with the key "location", wherever they are."""
    key, value = "", ""
    for number, content in _fields(message):
        child = CHILDREN[kind].get(number)
        if child is not None:
            yield from _locations(content, child)
        elif kind == "Entry":
            text = str(content, "utf-8")
            key, value = (text, value) if number == 1 else (key, text)
    if key == "location":
        yield value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields that hold bytes; the others are passed over."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        if wire == VARINT:
            _, place = _varint(message, place)
        elif wire == BYTES:
            size, place = _varint(message, place)
            if size > len(message) - place:
                raise IndexError
            with message[place : place + size] as content:
                yield tag >> 3, content
            place += size
        elif wire in (FIXED64, FIXED32):
            place += 8 if wire == FIXED64 else 4
        else:
            raise IndexError


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    number = shift = 0
    while True:
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
        shift += 7
