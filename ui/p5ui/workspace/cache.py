"""A small in-memory cache of large objects, loaded on first use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Cache"]

Kept = TypeVar("Kept")


class Cache(Generic[Kept]):
    """Least-recently-used cache by folder; thread-safe."""

    def __init__(self, size: int, load: Callable[[Path], Kept]) -> None:
        self._size, self._load = size, load
        self._kept: OrderedDict[tuple[Path, int], Kept] = OrderedDict()
        self._loading = threading.Lock()

    def get(self, folder: Path, mark: str) -> Kept:
        """The result of `load` for a folder; reloaded when its file `mark` has changed."""
        path = folder / mark
        key = (folder, path.stat().st_mtime_ns if path.exists() else 0)
        with self._loading:
            if key not in self._kept:
                self._kept[key] = self._load(folder)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
            return self._kept[key]
