"""Reporting a run while it goes on: to the files in its folder, to trackers, and to the terminal."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from p5core.contracts.tracker import (
    OptionsEvent,
    ResumeEvent,
    RunEvent,
    StageEvent,
    StepEvent,
    Tracker,
    ValidationEvent,
)
from p5core.runs.documents import RunState, Status
from p5core.runs.progress import Phases
from p5core.runs.run import Run
from p5core.system.processes import born
from p5core.system.signals import handled

__all__ = ["Display", "Logger", "RunLogger", "catch_signals"]

SECONDS_BETWEEN_STATUS = 1.0


class Display(Protocol):
    """Shows people the progress of a run."""

    def show(self, event: RunEvent) -> None:
        """Show one event."""

    def say(self, text: str) -> None:
        """Show a sentence or a table."""


class Logger(Protocol):
    """Receives the events and sentences of a run, and may ask it to stop."""

    def event(self, event: RunEvent) -> None:
        """Take one event."""

    def say(self, text: str) -> None:
        """Take a sentence."""

    def working(self) -> None:
        """Report that short trainings, blending or evaluation are in progress."""

    def stop_requested(self) -> bool:
        """True when the run should save and stop."""


class RunLogger:
    """Writes every event of a run to its folder, its trackers and a display."""

    def __init__(self, run: Run, trackers: Sequence[Tracker], display: Display | None, phases: Phases) -> None:
        self.run = run
        self._trackers = trackers
        self._display = display
        self._phases = phases
        self._working_since: float | None = None
        self._stop = False
        self._status = Status(
            state=RunState.STARTING, pid=os.getpid(), born=born(os.getpid()), expected_seconds=phases.expected
        )
        self._wrote_status = 0.0
        for name in ("events.jsonl", "log.txt"):
            _end_last_line(run.path / name)

    def event(self, event: RunEvent) -> None:
        """Append to `events.jsonl`, refresh `status.json`, tell trackers and the display.

        The time left of a step comes in for the stage and goes out for the run.
        """
        if isinstance(event, StepEvent):
            event = event.with_time_left(self._phases.seconds_left(event.share, event.eta_seconds))
        record = {"kind": event.kind, "time": _now(), **event.to_dict()}
        with (self.run.path / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=True) + "\n")
        self._follow(event)
        self._track(lambda tracker: tracker.log(event))
        if self._display is not None:
            self._display.show(event)

    def _follow(self, event: RunEvent) -> None:
        """Bring the status up to date."""
        changes: dict[str, Any] = {}
        if isinstance(event, (StepEvent, ValidationEvent)):
            changes = {"share": self._phases.share(event.share), "stage": event.stage, "epoch": event.epoch}
        if isinstance(event, StepEvent):
            changes["eta_seconds"] = event.eta_seconds
        if isinstance(event, (OptionsEvent, StageEvent, ResumeEvent)):
            self._phases.finish(0 if isinstance(event, OptionsEvent) else event.finished)
            self._working_since = None
        self._write_status(not isinstance(event, StepEvent), **changes)

    def working(self) -> None:
        """Keep the status alive while no stage trains: progress of what goes on by its expected time."""
        now = time.monotonic()
        self._working_since = self._working_since or now
        expected = self._phases.current
        left = max(0.0, expected - (now - self._working_since))
        done = 1 - left / expected if expected else 0.0
        self._write_status(False, share=self._phases.share(done), eta_seconds=self._phases.seconds_left(done, left))

    def say(self, text: str) -> None:
        """Append a sentence to `log.txt` and show it."""
        with (self.run.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{_now()} {text}\n")
        if self._display is not None:
            self._display.say(text)

    def state(self, state: RunState, message: str = "") -> None:
        """Set the state."""
        done: dict[str, Any] = {"share": 1.0, "eta_seconds": 0.0} if state == RunState.DONE else {}
        self._write_status(True, state=state, message=message, **done)

    def request_stop(self) -> None:
        """Ask training to save and stop."""
        self._stop = True

    def stop_requested(self) -> bool:
        """True after a signal, or when somebody put a file `stop` into the folder."""
        return self._stop or (self.run.path / "stop").exists()

    def close(self) -> None:
        """Close the trackers."""
        (self.run.path / "stop").unlink(missing_ok=True)
        self._track(lambda tracker: tracker.close())

    def _track(self, tell: Callable[[Tracker], None]) -> None:
        """Tell all trackers; one that fails is named and left out from then on, and training goes on."""
        for tracker in self._trackers:
            try:
                tell(tracker)
            except Exception as error:  # whatever a dashboard raises must not cost a training run
                self._trackers = [other for other in self._trackers if other is not tracker]
                self.say(f"Tracker '{tracker.name}' failed and is left out: {type(error).__name__}: {error}")

    def _write_status(self, now: bool, **changes: Any) -> None:
        self._status = self._status.model_copy(update=changes)
        if now or time.monotonic() - self._wrote_status > SECONDS_BETWEEN_STATUS:
            self.run.write_status(self._status.model_copy(update={"heartbeat": datetime.now(UTC)}))
            self._wrote_status = time.monotonic()


@contextmanager
def catch_signals(logger: RunLogger) -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request to save and stop; a second Ctrl-C stops at once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        name = signal.Signals(number).name
        logger.say(f"{name}: stopping after this step; what was trained is saved. Ctrl-C again stops at once.")
        logger.request_stop()

    with handled(stop):  # in another thread the file `stop` does the same
        yield


def _end_last_line(path: Path) -> None:
    """End a line that was cut when its process died, so that the next one begins a line of its own."""
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        with path.open("a", encoding="utf-8") as stream:
            stream.write("\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
