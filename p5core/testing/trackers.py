"""What every tracker promises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p5core.testing.conformance import Check, Subject

__all__ = ["CHECKS"]

EVENTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "stage", "step": 0, "name": "pretrain"},
    {"kind": "step", "step": 10, "loss": 4.5, "learning_rate": 1e-3},
    {"kind": "validation", "step": 20, "hr@10": 0.25, "rmse": float("nan")},
    {"kind": "test", "hr@10": 0.2},
)
"""One of each kind, with a missing step, a text and a value that is undefined."""


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
        given = dict(event)
        tracker.log(given)
        assert list(given) == list(event), "log() changes the event that it is given."
    tracker.close()


CHECKS: tuple[Check, ...] = (takes_every_kind_of_event, goes_on_after_a_stop)
