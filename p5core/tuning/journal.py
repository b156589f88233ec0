"""The records of a study: a text file that several processes append to.

Each line is a hash and a record in JSON. The hash covers the record and all before it, so that damage is noticed. A
last line without an end was cut when its process died; it does not count, and the next record takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages.journal import BaseJournalBackend

from p5core.errors import RunError

__all__ = ["Journal"]


class Journal(BaseJournalBackend):
    """Storage of Optuna's records in one file."""

    def __init__(self, path: Path, anchor: str) -> None:
        """Open the file, or begin it; `anchor`, which the first hash covers, tells a study from others."""
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))  # the system frees it when its process dies
        self._records: list[dict[str, Any]] = []
        self._hash = anchor
        self._end = 0
        path.touch()

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The records from a number on; raises RunError for a damaged one."""
        self._catch_up()
        return self._records[log_number_from:]

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Append records."""
        with self._lock:
            self._catch_up()
            lines, before = [], self._hash
            for record in logs:
                text = json.dumps(record, separators=(",", ":"))
                before = _hash(before, text)
                lines.append(f"{before} {text}\n")
            with self._path.open("r+b") as stream:
                stream.seek(self._end)
                stream.truncate()
                stream.write("".join(lines).encode())
                stream.flush()
                os.fsync(stream.fileno())

    def _catch_up(self) -> None:
        """Read the lines that were added since."""
        with self._path.open("rb") as stream:
            stream.seek(self._end)
            *lines, _cut = stream.read().split(b"\n")
        for line in lines:
            try:
                self._take(line.decode())
            except (ValueError, TypeError, RecursionError):
                reason = "was damaged" if self._records else "was damaged, or is of other data or other options"
                raise RunError(
                    f"{self._path}, line {len(self._records) + 1}: the record {reason}. Restore what was there, or "
                    "search again under another --name."
                ) from None
            self._end += len(line) + 1

    def _take(self, line: str) -> None:
        """Check and keep one record; raises ValueError for a damaged one. P5 0.1 wrote records without a hash."""
        has_hash = not line.startswith("{")
        text = line.partition(" ")[2] if has_hash else line
        expected = _hash(self._hash, text)
        if has_hash and line != f"{expected} {text}":
            raise ValueError(line)
        self._records.append(dict(json.loads(text)))
        self._hash = expected


def _hash(before: str, text: str) -> str:
    """Hex SHA-256 of a record and the hash of the one before."""
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()
