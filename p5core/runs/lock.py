"""Folders that one process at a time works in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from p5core.errors import RunError
from p5core.system.files import read_json, write_json
from p5core.system.folders import remove_leftovers
from p5core.system.processes import born, lives

__all__ = ["alone_in"]

HOLDER = "process.json"
"""File that names the process, which removes it at the end."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; raises RunError, with the number of the other process, while it is held.

    The operating system frees the lock of a process that dies.
    """
    try:
        with FileLock(folder / "lock", timeout=0):
            holder = _holder(folder)
            if holder is not None and holder.pid != os.getpid() and lives(holder.pid, holder.born):  # its lock was
                raise _in_use(folder, holder)  # deleted
            remove_leftovers(folder)
            write_json(folder / HOLDER, _Holder(pid=os.getpid(), born=born(os.getpid())).model_dump())
            try:
                yield
            finally:
                (folder / HOLDER).unlink(missing_ok=True)
    except Timeout:
        raise _in_use(folder, _holder(folder)) from None


class _Holder(BaseModel):
    """The process that works in a folder."""

    model_config = ConfigDict(frozen=True, strict=True)

    pid: int
    born: str | None = None


def _holder(folder: Path) -> _Holder | None:
    """The process that a folder names; None without one."""
    try:
        return _Holder.model_validate(read_json(folder / HOLDER))
    except (OSError, ValueError, RecursionError):
        return None


def _in_use(folder: Path, holder: _Holder | None) -> RunError:
    process = "unknown" if holder is None else str(holder.pid)
    return RunError(f"{folder} is in use by another process (pid {process}). Wait for it to end, or stop it.")
