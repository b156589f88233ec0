"""Events of a run as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from p5core.contracts.tracker import Tracker

__all__ = ["Spreadsheet"]


class Spreadsheet(Tracker):
    """Writes `events.csv` into the run folder: one row for each figure, to open in any spreadsheet."""

    name = "csv"

    def __init__(self, config: Any, folder: Path) -> None:
        super().__init__(config, folder)
        path = folder / "events.csv"
        is_new = not path.exists()
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if is_new:
            self._writer.writerow(["kind", "step", "figure", "value"])

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one row for each number of the event."""
        for figure, value in event.items():
            if isinstance(value, (int, float)) and figure != "step":
                self._writer.writerow([event["kind"], event.get("step", ""), figure, value])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
