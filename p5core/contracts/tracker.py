"""The contract of trackers, and the events of a run that they receive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from p5core.contracts.part import Part

__all__ = [
    "EarlyStopEvent",
    "OptionsEvent",
    "ResumeEvent",
    "RunEvent",
    "StageEvent",
    "StepEvent",
    "TestEvent",
    "Tracker",
    "ValidationEvent",
]


@dataclass(frozen=True)
class RunEvent:
    """One event of a run."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain values, `kind` first; metrics are a nested dictionary."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class StepEvent(RunEvent):
    """Progress of training since the last such event."""

    kind = "step"
    stage: str
    epoch: int
    step: int
    loss: float
    learning_rate: float
    events_per_second: float
    share: float
    """of the stage that is done, 0 to 1"""
    eta_seconds: float
    """time left"""

    def with_time_left(self, seconds: float) -> StepEvent:
        """The same event with another time left."""
        return replace(self, eta_seconds=seconds)


@dataclass(frozen=True)
class ValidationEvent(RunEvent):
    """Metrics on validation events after an epoch; after epoch 0, of the weights that a stage starts from."""

    kind = "validation"
    stage: str
    epoch: int
    step: int
    loss: float
    """mean training loss since the last validation; NaN before the first epoch"""
    is_best: bool
    share: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class EarlyStopEvent(RunEvent):
    """A stage ended before its last epoch."""

    kind = "early_stop"
    stage: str
    epoch: int


@dataclass(frozen=True)
class OptionsEvent(RunEvent):
    """Short trainings have chosen options for the run."""

    kind = "options"
    chosen: Mapping[str, bool | int | float | str]
    """place of an option in the experiment → value; empty: those of the experiment are kept"""


@dataclass(frozen=True)
class StageEvent(RunEvent):
    """A stage is finished."""

    kind = "stage"
    stage: str
    finished: int
    """stages that are finished"""
    train_seconds: float


@dataclass(frozen=True)
class ResumeEvent(RunEvent):
    """Training goes on from a checkpoint."""

    kind = "resume"
    finished: int
    epoch: int


@dataclass(frozen=True)
class TestEvent(RunEvent):
    """Metrics of the finished model on test events."""

    kind = "test"
    metrics: Mapping[str, float | None]


class Tracker(Part, ABC):
    """Receives the events of a run as they happen, for a dashboard, a spreadsheet or a chat."""

    def __init__(self, config: Any, folder: Path) -> None:
        super().__init__(config)
        self.folder = folder

    @abstractmethod
    def log(self, event: RunEvent) -> None:
        """Take one event."""

    def close(self) -> None:
        """Release what the tracker holds; called once, also after a failure."""
        return
