"""Uploaded files."""

from __future__ import annotations

import re
import shutil
from filecmp import cmp
from itertools import count
from pathlib import Path

from p5core.errors import ConfigError, DataError
from p5ui.workspace.workspace import Workspace

__all__ = ["MAX_BYTES", "delete_upload", "keep_upload", "safe_name"]

MAX_BYTES = 2 * 2**30


def keep_upload(workspace: Workspace, arrived: Path) -> str:
    """Copy a file into the folder of uploads; returns its path relative to the working folder.

    Nothing is overwritten: another file of that name gets a number, the same file is not kept twice.

    Raises DataError for one that is empty or too large.
    """
    size = arrived.stat().st_size
    if size == 0:
        raise DataError(f"{arrived.name} is empty. Choose another file.")
    if size > MAX_BYTES:
        raise DataError(
            f"{arrived.name} has {size / 2**30:.1f} GB, and {MAX_BYTES / 2**30:.0f} GB may be uploaded. Put it into "
            "the working folder and name it."
        )
    workspace.uploads.mkdir(parents=True, exist_ok=True)
    target = _place(workspace.uploads, safe_name(arrived.name), arrived)
    if not target.exists():
        shutil.copyfile(arrived, target)
    return target.relative_to(workspace.folder).as_posix()


def delete_upload(workspace: Workspace, name: str) -> None:
    """Delete a file of the folder of uploads, given relative to the working folder; raises ConfigError for others."""
    path = workspace.folder / name
    if path.parent != workspace.uploads or path.name != safe_name(path.name) or not path.is_file():
        raise ConfigError(f"{name!r} is not among the uploads, and those alone can be deleted here.")
    path.unlink()


def safe_name(name: str) -> str:
    """A name without anything that means something to a file system; its ending stays."""
    plain = re.sub(r"[^\w.-]+", "_", Path(name.replace("\\", "/")).name).lstrip("._-")
    stem, dot, suffixes = plain.partition(".")
    return f"{stem[:80] or 'file'}{dot}{suffixes[-20:]}"


def _place(folder: Path, name: str, arrived: Path) -> Path:
    """The existing copy of the file, or the first free name."""
    stem, dot, suffixes = name.partition(".")
    names = (name if number == 1 else f"{stem}-{number}{dot}{suffixes}" for number in count(1))
    return next(folder / taken for taken in names if _is_free(folder / taken) or _is_same(folder / taken, arrived))


def _is_free(path: Path) -> bool:
    return not path.exists() and not path.is_symlink()


def _is_same(path: Path, arrived: Path) -> bool:
    return path.is_file() and not path.is_symlink() and cmp(path, arrived, shallow=False)
