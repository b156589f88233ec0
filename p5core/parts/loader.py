"""The contract of data loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod

from p5core.data.raw import RawData
from p5core.parts.part import Part

__all__ = ["Loader"]


class Loader(Part, ABC):
    """Brings an interaction log from wherever it lies."""

    @abstractmethod
    def load(self) -> RawData:
        """Read the log, with the column names of `p5core.data.columns`.

        Raises DataError that names the file, row and column of the fault.
        """
