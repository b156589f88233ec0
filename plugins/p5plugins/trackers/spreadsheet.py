"""Events of a run as a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from p5core.contracts.tracker import RunEvent, Tracker

__all__ = ["Spreadsheet"]


class Spreadsheet(Tracker):
    """Writes `events.csv` into the run folder: one row per value."""

    name = "csv"

    def __init__(self, config: Any, folder: Path) -> None:
        super().__init__(config, folder)
        path = folder / "events.csv"
        is_new = not path.exists()
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if is_new:
            self._writer.writerow(["kind", "step", "figure", "value"])

    def log(self, event: RunEvent) -> None:
        """Append one row for each number of the event; those of metrics are called `metrics/LABEL`."""
        figures = event.to_dict()
        figures |= {f"metrics/{label}": value for label, value in figures.pop("metrics", {}).items()}
        for figure, value in figures.items():
            if isinstance(value, (int, float)) and figure != "step":
                self._writer.writerow([event.kind, figures.get("step", ""), figure, value])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
