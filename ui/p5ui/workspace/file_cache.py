"""A cache of values read from files, valid until the file changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["FileCache", "stamp"]

Found = TypeVar("Found")

SIZE = 1_000


def stamp(path: Path) -> tuple[int, int]:
    """Size and modification time of a file; zeros if it does not exist."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns


class FileCache:
    """The latest results of functions that read one file; the oldest go first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Path], tuple[tuple[int, int], Any]] = {}

    def read(self, function: Callable[[Path], Found], path: Path) -> Found:
        """The result of `function` for a file; called again only when the file has changed."""
        key, now = (function.__qualname__, path), stamp(path)
        kept = self._kept.pop(key, None)
        if kept is None or kept[0] != now:
            kept = (now, function(path))
        self._kept[key] = kept
        while len(self._kept) > SIZE:
            self._kept.pop(next(iter(self._kept)))
        value: Found = kept[1]
        return value
