"""Names of runs."""

from __future__ import annotations

import re
from pathlib import Path

from p5core.errors import ConfigError

__all__ = ["NAME", "check_run_name", "free_name", "to_run_name"]

NAME = re.compile(r"\w[\w.-]{0,99}")
"""Allowed names: a name is a folder's, stands in commands, and is shown in pages and terminals."""

LONGEST_NAME = 100
"""Bytes of a name; file systems take 255, and what is made beside a run has a longer name."""


def check_run_name(name: str) -> None:
    """Raise ConfigError unless a run may have this name."""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST_NAME:
        raise ConfigError(
            f"{name!r} is no name for a run. Take up to 100 letters, digits, '.', '_' and '-' (of other alphabets "
            "fewer), with a letter, a digit or '_' first."
        )


def to_run_name(text: str) -> str:
    """A name for a run that is like a text, such as the stem of a file."""
    plain = re.sub(r"[^\w.-]+", "-", text).strip("-.").encode()[:LONGEST_NAME]
    return plain.decode(errors="ignore").strip("-.") or "run"


def free_name(folder: Path, stem: str) -> str:
    """`stem`, or `stem-2`, `stem-3` … when it is taken."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10_000))
    return next(name for name in names if not (folder / name).exists())
