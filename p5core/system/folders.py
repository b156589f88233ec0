"""Hidden places where files and folders are made, putting folders in place, and what dead processes left behind."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sys
from pathlib import Path

__all__ = ["hidden_path", "remove_leftovers", "replace_folder"]

HOST = re.sub(r"[^\w-]", "-", platform.node())[:40]

HIDDEN = re.compile(r"\..+\.p5-(?P<host>[\w-]*)-(?P<pid>\d+)")

CLOCK_STEPS = 2.0
"""Seconds by which the recorded start of a process may be off."""

EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2, linux/fs.h."""

WORKING_FOLDER = -100
"""AT_FDCWD, fcntl.h."""


def hidden_path(path: Path) -> Path:
    """The hidden place beside `path` in which this process makes it; its name says machine and process."""
    return path.with_name(f".{path.name[:100]}.p5-{HOST}-{os.getpid()}")


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that no longer exist were making in a folder."""
    from p5core.system.processes import born

    for path in folder.glob(".*.p5-*") if folder.is_dir() else ():
        made_by = HIDDEN.fullmatch(path.name)
        if made_by is None or made_by["host"] != HOST:
            continue
        began = born(int(made_by["pid"]))
        if began is not None and path.stat().st_mtime > float(began) - CLOCK_STEPS:
            continue  # an older one was left by a process that had the number before
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def replace_folder(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`, which is removed.

    Where the system can exchange two names (Linux, most file systems) there is no moment without the folder; elsewhere
    the old one is set aside first, and comes back when the new one cannot be put in its place.
    """
    if not folder.exists():
        new.rename(folder)
        return
    folder = folder.resolve()
    if _exchanged(new, folder):
        shutil.rmtree(new)
        return
    old = hidden_path(folder.with_name(f"{folder.name}.old"))
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return int(rename(WORKING_FOLDER, names[0], WORKING_FOLDER, names[1], EXCHANGE)) == 0
