"""Who is told how a run goes: the files in its folder, trackers, and the terminal."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Protocol

from p5core.contracts.tracker import Tracker
from p5core.runs.folder import Run
from p5core.runs.progress import Phases
from p5core.system.files import write_json
from p5core.system.processes import born
from p5core.system.signals import handled

__all__ = ["Display", "Log", "RunLogger", "catch_signals"]

SECONDS_BETWEEN_STATUS = 1.0


class Display(Protocol):
    """Shows people how a run goes."""

    def show(self, kind: str, figures: dict[str, Any]) -> None:
        """Show one event."""

    def say(self, text: str) -> None:
        """Show a sentence or a table."""


class Log(Protocol):
    """Who is told how training goes, in figures and in sentences, and who may ask it to stop."""

    def event(self, kind: str, **figures: Any) -> None:
        """Take figures."""

    def say(self, text: str) -> None:
        """Take a sentence."""

    def evaluating(self) -> None:
        """Take note that blending or evaluation goes on."""

    def stop_requested(self) -> bool:
        """True when training should save and stop."""


class RunLogger:
    """Writes every event of a run to its folder, its trackers and a display."""

    def __init__(self, run: Run, trackers: Sequence[Tracker], display: Display | None, phases: Phases) -> None:
        self.run = run
        self._trackers = trackers
        self._display = display
        self._phases = phases
        self._evaluated_since: float | None = None
        self._stop = False
        self._status: dict[str, Any] = {"state": "starting", "pid": os.getpid(), "born": born(os.getpid())}
        self._status["expected_seconds"] = phases.expected
        self._wrote_status = 0.0

    def event(self, kind: str, **figures: Any) -> None:
        """Append to `events.jsonl`, refresh `status.json`, tell trackers and the display.

        `eta_seconds` comes in for the stage and goes out for the run.
        """
        if "eta_seconds" in figures:
            figures["eta_seconds"] = self._phases.seconds_left(figures["share"], figures["eta_seconds"])
        record = {"kind": kind, "time": _now(), **figures}
        with (self.run.path / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=True) + "\n")
        if "share" in figures:
            self._status["share"] = self._phases.share(figures["share"])
            self._status |= {key: figures[key] for key in ("stage", "epoch", "eta_seconds") if key in figures}
        if kind in ("stage", "resume"):
            self._phases.finish(figures["finished"])
        self._write_status(kind != "step")
        for tracker in self._trackers:
            tracker.log(record)
        if self._display is not None:
            self._display.show(kind, figures)

    def evaluating(self) -> None:
        """Keep the status alive while nothing trains: how far blending and evaluation are, by their expected time."""
        now = time.monotonic()
        self._evaluated_since = self._evaluated_since or now
        expected = self._phases.current
        left = max(0.0, expected - (now - self._evaluated_since))
        share = self._phases.share(1 - left / expected if expected else 0.0)
        self._status |= {"share": share, "eta_seconds": left}
        self._write_status(now=False)

    def say(self, text: str) -> None:
        """Append a sentence to `log.txt` and show it."""
        with (self.run.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{_now()} {text}\n")
        if self._display is not None:
            self._display.say(text)

    def state(self, state: str, message: str = "") -> None:
        """Set the state: "running", "done", "stopped" or "failed"."""
        self._status |= {"state": state, "message": message}
        if state == "done":
            self._status |= {"share": 1.0, "eta_seconds": 0.0}
        self._write_status(now=True)

    def request_stop(self) -> None:
        """Ask training to save and stop."""
        self._stop = True

    def stop_requested(self) -> bool:
        """True after a signal, or when somebody put a file `stop` into the folder."""
        return self._stop or (self.run.path / "stop").exists()

    def close(self) -> None:
        """Close the trackers."""
        (self.run.path / "stop").unlink(missing_ok=True)
        for tracker in self._trackers:
            tracker.close()

    def _write_status(self, now: bool) -> None:
        if now or time.monotonic() - self._wrote_status > SECONDS_BETWEEN_STATUS:
            write_json(self.run.path / "status.json", {**self._status, "heartbeat": _now()})
            self._wrote_status = time.monotonic()


@contextmanager
def catch_signals(log: RunLogger) -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request to save and stop; a second Ctrl-C stops at once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        name = signal.Signals(number).name
        log.say(f"{name}: stopping after this step; what was trained is saved. Ctrl-C again stops at once.")
        log.request_stop()

    with handled(stop):  # in another thread the file `stop` does the same
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
