"""The contract of trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from p5core.contracts.part import Part

__all__ = ["Tracker"]


class Tracker(Part, ABC):
    """Follows a run while it is written: a spreadsheet, a dashboard, a chat message."""

    def __init__(self, config: Any, folder: Path) -> None:
        super().__init__(config)
        self.folder = folder

    @abstractmethod
    def log(self, event: Mapping[str, Any]) -> None:
        """Take one event of the run: `{"kind": "step" | "validation" | "stage" | "test", "step": int, ...numbers}`."""

    def close(self) -> None:
        """Release what the tracker holds; called once, also after a failure."""
        return
