"""The promises of every tracker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from p5core.contracts.tracker import (
    EarlyStopEvent,
    ResumeEvent,
    RunEvent,
    StageEvent,
    StepEvent,
    TestEvent,
    ValidationEvent,
)
from p5core.testing.engine import ENGINE_CHECKS

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]

EVENTS: tuple[RunEvent, ...] = (
    StepEvent("train", 1, 10, 4.5, 1e-3, 2_000.0, 0.5, 60.0),
    ValidationEvent("train", 1, 20, 4.4, True, 0.5, {"hr@10": 0.25, "error": float("nan"), "loss": 0.1}),
    EarlyStopEvent("train", 1),
    StageEvent("train", 1, 12.5),
    ResumeEvent(1, 0),
    TestEvent({"hr@10": 0.2, "coverage@10": None}),
)
"""One of each kind, with a metric called as a figure of the event, and values that are undefined."""


def takes_every_kind_of_event(subject: Subject) -> None:
    """No event of a run is an error, and none is changed."""
    with tempfile.TemporaryDirectory() as folder:
        _follow(subject, Path(folder))


def goes_on_after_a_stop(subject: Subject) -> None:
    """A run that is resumed builds the tracker again; what it wrote in the run folder before stays."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _follow(subject, folder)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        _follow(subject, folder)
        lost = [path.name for path, content in before.items() if not path.read_bytes().startswith(content)]
        assert not lost, f"The second start overwrote {', '.join(lost)}; append instead."


def _follow(subject: Subject, folder: Path) -> None:
    tracker = subject.build(folder)
    for event in EVENTS:
        before = event.to_dict()
        tracker.log(event)
        assert repr(event.to_dict()) == repr(before), "log() changes the event that it is given."
    tracker.close()


CHECKS: tuple[Check, ...] = (takes_every_kind_of_event, goes_on_after_a_stop, *ENGINE_CHECKS)
