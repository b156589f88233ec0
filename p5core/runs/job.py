"""A job: a `p5` command in its own process, and the folder with its state.

jobs/000001/
  job.json         what was asked for, of which run and when; never changes
  experiment.toml  the experiment of a new run
  start.json       the process that runs it
  output.txt       what it printed
  end.json         its exit code
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from p5core.system.files import read_json
from p5core.system.processes import lives

__all__ = ["ACTIVE", "TRAINING", "Job"]

ACTIVE = ("queued", "running")
"""States in which a job is not over."""

TRAINING = ("demo", "run")
"""Commands that take the whole machine for long: they wait for each other."""


@dataclass(frozen=True)
class Job:
    """A job and its folder."""

    path: Path

    @property
    def id(self) -> str:
        """Its number: that of the folder."""
        return self.path.name

    @cached_property
    def asked(self) -> dict[str, Any]:
        """The stored request; empty if it cannot be read."""
        try:
            request = read_json(self.path / "job.json")
        except (OSError, ValueError, RecursionError):
            return {}
        is_job = isinstance(request, dict) and isinstance(request.get("arguments"), list) and bool(request["arguments"])
        is_whole = is_job and isinstance(request.get("submitted"), str) and _names_a_run(request.get("run"))
        return request if is_whole else {}

    @property
    def arguments(self) -> list[str]:
        """Command-line arguments after `p5`."""
        return [str(argument) for argument in self.asked["arguments"]]

    @property
    def run(self) -> str:
        """Name of the run that the job is about; empty for none."""
        return str(self.asked["run"])

    @property
    def submitted(self) -> str:
        """Time of submission, ISO 8601."""
        return str(self.asked["submitted"])

    @property
    def trains(self) -> bool:
        """True if it waits for other jobs that train."""
        return self.arguments[0] in TRAINING

    def process(self) -> tuple[int, str | None] | None:
        """Number and beginning of the process that runs it; None before it was started."""
        try:
            started = read_json(self.path / "start.json")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            started = None
        is_whole = isinstance(started, dict) and type(started.get("pid")) is int and 0 <= started["pid"] < 2**31
        if not is_whole or not isinstance(started.get("born"), (str, type(None))):
            return 0, None  # it was started once, and is not started again
        return started["pid"], started["born"]

    def state(self) -> str:
        """One of "queued", "running", "done", "stopped", "failed" and "crashed" (ended without an exit code)."""
        process = self.process()
        if process is None:
            return "queued"
        is_alive = lives(*process)  # asked first, for it may end while we look
        try:
            ended = read_json(self.path / "end.json")
        except (OSError, ValueError, RecursionError):
            ended = None
        code = ended.get("code") if isinstance(ended, dict) else None
        if type(code) is not int:
            return "running" if is_alive else "crashed"
        return {0: "done", 130: "stopped"}.get(code, "failed")

    def output(self, n_characters: int = 20_000) -> str:
        """The end of what it printed."""
        try:
            with (self.path / "output.txt").open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - n_characters))
                return stream.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def _names_a_run(run: object) -> bool:
    """True for an empty text or a path below the folder of runs."""
    is_text = isinstance(run, str) and "\0" not in run
    return is_text and (run == "" or all(part not in ("", ".", "..") for part in str(run).split("/")))
