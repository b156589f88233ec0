"""Folders that one process at a time works in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from p5core.errors import RunError
from p5core.system.files import read_json, write_json
from p5core.system.folders import remove_leftovers

__all__ = ["alone_in"]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; raises RunError, with the number of the other process, while it is held.

    The operating system frees the lock of a process that dies.
    """
    try:
        with FileLock(folder / "lock", timeout=0):
            remove_leftovers(folder)
            write_json(folder / "process.json", {"pid": os.getpid()})
            yield
    except Timeout:
        raise RunError(
            f"{folder} is in use by another process (pid {_holder(folder)}). Wait for it to end, or stop it."
        ) from None


def _holder(folder: Path) -> object:
    """The number of the process that holds a folder, as far as it can be read."""
    try:
        return read_json(folder / "process.json")["pid"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"
