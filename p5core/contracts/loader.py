"""The contract of data loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from p5core.contracts.part import Part
from p5core.data.profile.preview import Preview, preview_of
from p5core.data.raw import RawData

__all__ = ["Loader"]


class Loader(Part, ABC):
    """Reads an interaction log, wherever it lies."""

    reads_only_paths: ClassVar[bool] = True
    """Whether it reads no files but those that options of type Path name; other loaders, such as databases, cannot be
    held to a folder, and the web interface refuses them."""

    path_option: ClassVar[str | None] = "path"
    """Option that names the log, for commands that are given a file; None for a loader that reads no file."""

    @classmethod
    def recognises(cls, path: Path) -> float:
        """How sure it is, from 0 to 1, that it can read a file or folder; the surest loader is taken."""
        return 0.0

    @abstractmethod
    def load(self) -> RawData:
        """Read the log, with the column names of `p5core.data.columns`.

        Raises DataError that names the file, row and column of the fault.
        """

    def preview(self, n_rows: int = 1_000) -> Preview:
        """Read the first rows; a loader that can avoid to read all of a large log for it does.

        Raises DataError when there is nothing to look at.
        """
        return preview_of(self.load(), n_rows)
