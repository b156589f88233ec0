"""The contract of presets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from p5core.contracts.part import Part
from p5core.data.dataset import Dataset

__all__ = ["Preset"]


class Preset(Part, ABC):
    """Writes an experiment for a data set; used by `p5 init` and the web interface."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @abstractmethod
    def sections(self, dataset: Dataset | None) -> str:
        """All sections of an experiment but [data], as commented TOML.

        `dataset` is the log, cleaned but not filtered, with all items of the items table; None when nothing is known
        of it.
        """
