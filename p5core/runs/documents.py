"""The JSON documents of a run folder, as typed models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from p5core.config.base import Value
from p5core.system.messages import Message

__all__ = [
    "FORMAT",
    "READ_FORMATS",
    "SILENT_SECONDS",
    "Manifest",
    "Metrics",
    "PartRecord",
    "Refit",
    "RunInfo",
    "RunState",
    "Status",
    "StoredMessage",
    "Trial",
    "Trials",
    "Versioned",
]

FORMAT = 2
"""Version of the folder's layout."""

READ_FORMATS = (1, FORMAT)
"""Versions that can be read: 1 was written by P5 0.1."""

SILENT_SECONDS = 120
"""Seconds without a sign of life after which a running process may be hanging."""

LARGEST = 10**15
"""Above all numbers that a status holds."""

Count = Annotated[int, Field(ge=0, lt=LARGEST, strict=True)]
Seconds = Annotated[float, Field(ge=0, lt=LARGEST, strict=True)]


class RunState(StrEnum):
    """State of a run; the last three are concluded when its status says less."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"
    CRASHED = "crashed"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"

    @property
    def is_written(self) -> bool:
        """True if a process claims to be writing the run."""
        return self in (RunState.STARTING, RunState.RUNNING)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Status(_Document):
    """status.json: the progress of a run. What cannot be read is left at its default."""

    state: RunState = RunState.UNKNOWN
    message: Annotated[str, Field(strict=True)] = ""
    pid: Count | None = None
    """process that writes the run"""
    born: Annotated[str, Field(strict=True)] | None = None
    """start of that process"""
    share: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0
    """of the run that is done"""
    stage: Annotated[str, Field(strict=True)] | None = None
    epoch: Count | None = None
    eta_seconds: Seconds | None = None
    """time left"""
    expected_seconds: list[Seconds] = []
    """estimated time of each stage and of what follows; empty without an estimate"""
    heartbeat: AwareDatetime | None = None
    """time of the last writing"""

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last sign of life."""
        return (datetime.now(UTC) - self.heartbeat).total_seconds() if self.heartbeat else 0.0

    @classmethod
    def read(cls, content: Any) -> Status:
        """A status from the content of its file, every field that is of another kind left out."""
        if not isinstance(content, Mapping):
            return cls(state=RunState.DAMAGED)
        fields = {
            name: content[name] for name in cls.model_fields if name in content and _is_sound(cls, name, content[name])
        }
        is_damaged = bool(content) and "state" not in fields
        return cls.model_validate({**fields, **({"state": RunState.DAMAGED} if is_damaged else {})})

    def dump(self) -> dict[str, Any]:
        """Plain values for the file, those that are unknown left out."""
        return self.model_dump(mode="json", exclude_none=True)


WRITTEN_STATES = ("starting", "running", "stopped", "failed", "done")


def _is_sound(model: type[BaseModel], name: str, value: Any) -> bool:
    if name == "state" and value not in WRITTEN_STATES:
        return False
    if name == "heartbeat" and not _is_moment(value):
        return False
    field: Any = model.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


class PartRecord(_Document):
    """A part that a run used, and the distribution that provided it."""

    kind: str
    name: str
    distribution: str
    version: str


class Versioned(_Document):
    """A document that says by which layout it was written."""

    format: int


class Refit(_Document):
    """The run whose recipe is trained again on all events, and for how long."""

    of: str
    """its name"""
    epochs: list[int]
    """by stage, the epochs up to its best one"""


class RunInfo(Versioned):
    """run.json: origin of a run; never changes."""

    p5: str
    created: str
    fold: tuple[int, int] | None = None
    """(i, n) of a cross-validation fold"""
    updated_from: str | None = None
    """run that this one was made from by an update with new events"""
    source: str | None = None
    """SHA-256 of the manifest of the run that this one starts from"""
    refit: Refit | None = None
    """set if all events are trained on, and nothing is measured"""
    parts: list[PartRecord] = []


class Trial(_Document):
    """A short training with some options."""

    values: dict[str, Value]
    """place of an option in the experiment → value; empty: those of the experiment"""
    n_epochs: int
    value: Annotated[float, Field(strict=True)] | None
    """figure on validation events"""
    of_users: list[Annotated[float, Field(strict=True)] | None] = []
    """the figure of each user, while trials are compared"""
    weights: list[Annotated[float, Field(strict=True)]] = []
    """of the users; empty: all weigh the same"""


class Trials(_Document):
    """probe.json: short trainings by which options of the run were chosen."""

    metric: str = ""
    trials: list[Trial] = []
    chosen: dict[str, Value] | None = None
    """None until all trials have ended"""
    sha256: str = ""
    """of the experiment and of everything else in this document"""

    def ended(self, chosen: Mapping[str, Value]) -> Trials:
        """The record when options are chosen: figures of users are needed no more."""
        trials = [trial.model_copy(update={"of_users": [], "weights": []}) for trial in self.trials]
        return self.model_copy(update={"trials": trials, "chosen": dict(chosen)})


class Manifest(Versioned):
    """manifest.json: hash of every file that must not change. With it a run is done."""

    model_config = ConfigDict(extra="forbid", strict=True)

    files: dict[str, str]
    """path below the folder → SHA-256"""

    @field_validator("files")
    @classmethod
    def _are_inside(cls, files: dict[str, str]) -> dict[str, str]:
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise ValueError("a path leads outside the folder")
        return files


Figures = dict[str, dict[str, Annotated[float, Field(strict=True)] | None]]
"""Scorer → metric label → value, None where it is undefined."""


class StoredMessage(_Document):
    """A message as its template and values."""

    template: str
    values: dict[str, str] = {}

    @classmethod
    def of(cls, message: Message) -> StoredMessage:
        """The record of a message; values that are messages become texts."""
        return cls(template=message.template, values={name: str(value) for name, value in message.values.items()})

    def message(self) -> Message:
        """The message as it was stored."""
        return Message(self.template, **self.values)


class Metrics(_Document):
    """metrics.json: figures of the model and its baselines."""

    test: Figures
    validation: Figures = {}
    intervals: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    """"test" or "validation" → scorer → metric label → 95 % interval"""
    protocol: str = ""
    protocol_message: StoredMessage | None = None
    """the protocol with its template, for translation; None in runs of P5 0.1 and updated ones"""
    device: str = "cpu"
    """kind of device that computed the figures: cpu or cuda"""
    n_test_users: int = 0
    train_seconds: float = 0.0
    n_parameters: int = 0
