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
    """Reads an interaction log from files, a database or memory."""

    reads_only_paths: ClassVar[bool] = True
    """True if it reads only files named by options of type Path. Other loaders, such as databases, cannot be confined
    to a folder, so the web interface refuses them."""

    path_option: ClassVar[str | None] = "path"
    """Option that names the log, for commands that are given a file; None for a loader that reads no file."""

    @classmethod
    def recognises(cls, path: Path) -> float:
        """Confidence, from 0 to 1, that it can read a file or folder; the loader with the highest is used."""
        return 0.0

    @abstractmethod
    def load(self) -> RawData:
        """Read the log, with the column names of `p5core.data.columns`.

        Raises DataError that names the file, row and column of the fault.
        """

    def preview(self, n_rows: int = 1_000) -> Preview:
        """Read the first rows, if possible without reading the whole log.

        Raises DataError when there is nothing to look at.
        """
        return preview_of(self.load(), n_rows)
