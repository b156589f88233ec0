"""Validations as lines of text."""

from __future__ import annotations

from p5core import RunEvent, Tracker, ValidationEvent

__all__ = ["Notebook"]


class Notebook(Tracker):
    """Writes one line per validation to `notebook.txt` in the run folder."""

    name = "notebook"

    def log(self, event: RunEvent) -> None:
        if isinstance(event, ValidationEvent):
            figures = ", ".join(f"{label} {value:.4f}" for label, value in event.metrics.items())
            with (self.folder / "notebook.txt").open("a", encoding="utf-8") as file:
                file.write(f"{event.stage} {event.epoch}: {figures}\n")
