"""The job queue of a working folder, shared by all processes that use the folder.

Everything is kept in files, so that jobs go on and are found again when the program that started them has ended, and
two programs can look after one folder.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from p5core.config.document import load_experiment, parse_experiment
from p5core.errors import ConfigError, RunError
from p5core.runs.create import open_run
from p5core.runs.documents import RunState
from p5core.runs.job import ACTIVE, Job
from p5core.runs.names import check_run_name
from p5core.runs.run import Run
from p5core.system.files import write_json, write_text
from p5core.system.processes import born, kill, start

__all__ = ["COMMANDS", "Jobs"]

COMMANDS = ("demo", "evaluate", "export", "run", "verify")
"""Commands that a job may run."""


@dataclass(frozen=True)
class Jobs:
    """The jobs of a working folder, whose runs lie in its folder `runs`."""

    folder: Path
    """absolute; where relative paths of experiments start"""

    at_once: int = 1
    """maximum number of jobs that train at the same time"""

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.folder / "runs"

    def all(self) -> list[Job]:
        """All jobs whose description can be read, oldest first."""
        jobs = [Job(about.parent) for about in sorted((self.folder / "jobs").glob("*/job.json"))]
        return [job for job in jobs if job.asked]

    def of(self, run: str) -> Job | None:
        """The latest job about a run."""
        return next((job for job in reversed(self.all()) if job.run == run), None)

    def submit(self, text: str, name: str) -> Job:
        """Queue a new run of an experiment given as TOML.

        Raises ConfigError for a faulty experiment or name, RunError for a name that is taken.
        """
        _check(text, name)
        with self._locked():
            self._refuse_active(name)
            if (self.runs / name).exists():
                raise RunError(f"There is a run '{name}' already. Choose another name, or delete that run first.")
            path = self._new_folder()
            write_text(path / "experiment.toml", text)
            arguments = ["run", str(path / "experiment.toml"), "--runs", str(self.runs), "--name", name]
            return self._add(path, arguments, name)

    def resume(self, name: str) -> Job:
        """Queue the rest of a run that was stopped, killed or has failed; raises RunError when there is none."""
        with self._locked():
            self._refuse_active(name)
            run = self._own(name)
            if self.state(run) in ("running", "starting", "done"):
                raise RunError(
                    f"Run '{name}' is {self.state(run)}; only a stopped, failed or crashed run can be resumed."
                )
            (run.path / "stop").unlink(missing_ok=True)
            file = str(run.path / "experiment.toml")
            arguments = ["run", file, "--runs", str(self.runs), "--name", name, "--resume"]
            return self._add(self._new_folder(), arguments, name)

    def submit_command(self, arguments: Sequence[str], run: str = "") -> Job:
        """Queue another command of p5, such as ["export", RUN], that is about a run; raises ConfigError for others."""
        if not arguments or arguments[0] not in COMMANDS:
            raise ConfigError(f"A job cannot do {list(arguments[:1])}. Possible: {', '.join(COMMANDS)}.")
        with self._locked():
            return self._add(self._new_folder(), list(arguments), run)

    def advance(self) -> None:
        """Start the jobs whose turn has come; to be called regularly."""
        with self._locked():
            self._advance()

    def stop(self, name: str) -> None:
        """Take the latest job of a run out of the queue, or let it save and stop; raises RunError without one."""
        with self._locked():
            job = self.of(name)
            state = job.state() if job else ""
            if job and state == "queued":
                shutil.rmtree(job.path)
            elif (run := self.find(name)) and self.state(run) == "running":
                (run.path / "stop").touch()
            elif not (job and state == "running" and self._signal(job, signal.SIGTERM)):
                raise RunError(f"Run '{name}' is not running; there is nothing to stop.")

    def kill(self, name: str) -> None:
        """End the process of a run at once, nothing saved since its last checkpoint.

        Raises RunError when there is none, or none that is certain to be the run's.
        """
        with self._locked():
            job, run = self.of(name), self.find(name)
            status = run.status() if run and run.state() == RunState.RUNNING else None
            if job and job.state() == "running" and self._signal(job):
                return
            if not (status and status.pid is not None and kill(status.pid, status.born)):
                raise RunError(f"No process is known to be that of run '{name}'; there is nothing to kill.")

    def clone(self, name: str) -> str:
        """The experiment of a run as TOML, to be changed and run under another name; raises RunError without one."""
        run = self._own(name)
        load_experiment(run.path / "experiment.toml")
        return (run.path / "experiment.toml").read_text(encoding="utf-8")

    def delete(self, name: str) -> None:
        """Delete a run and what is known of its jobs; raises RunError for one that is not over, or not there."""
        with self._locked():
            self._refuse_active(name)
            jobs = [job for job in self.all() if name and job.run == name]
            run = self.find(name) if jobs else self._own(name)
            if run and self.state(run) in ("running", "starting"):
                raise RunError(f"Run '{name}' is running. Stop or kill it first.")
            for path in [*([run.path] if run else []), *(job.path for job in jobs)]:
                shutil.rmtree(path)

    def state(self, run: Run) -> str:
        """The state of a run folder; one without a status yet is "starting" while its job runs."""
        state = run.state()
        job = self.of(run.path.relative_to(self.runs).as_posix()) if state == "unknown" else None
        return {"running": "starting"}.get(job.state(), "crashed") if job else state

    def find(self, name: str) -> Run | None:
        """The run of a name, if there is one yet; links are none, for what they lead to is not ours."""
        root = self.runs.resolve()
        try:
            path = (root / name).resolve()
            is_ours = path.is_relative_to(root) and path.relative_to(root).as_posix() == name
            return open_run(self.runs / name) if is_ours and (path / "run.json").is_file() else None
        except (OSError, ValueError):  # no file system holds such a name
            return None

    def _own(self, name: str) -> Run:
        """The run of a name; raises RunError when there is none, or one that does not lie among the runs."""
        run = self.find(name)
        if run is None:
            path = open_run(self.runs / name).path
            raise RunError(f"{path} is left alone: it is a link, or does not lie in {self.runs}. Move it there first.")
        return run

    def _refuse_active(self, name: str) -> None:
        job = self.of(name)
        if job and job.state() in ACTIVE:
            raise RunError(f"Run '{name}' has a job that is {job.state()}. Wait until it is over, or stop it first.")

    def _signal(self, job: Job, number: signal.Signals | None = None) -> bool:
        process = job.process()
        return process is not None and kill(*process, number)

    def _new_folder(self) -> Path:
        names = [path.name for path in (self.folder / "jobs").glob("[0-9]*")]
        latest = max((int(name) for name in names if name.isdecimal()), default=0)
        path = self.folder / "jobs" / f"{latest + 1:06d}"
        path.mkdir()
        return path

    def _add(self, path: Path, arguments: list[str], run: str) -> Job:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(path / "job.json", {"arguments": arguments, "run": run, "submitted": now})
        self._advance()
        return Job(path)

    def _advance(self) -> None:
        jobs = [(job, job.state()) for job in self.all()]
        n_training = sum(state == "running" for job, state in jobs if job.trains)
        for job, state in jobs:
            if state == "queued" and not (job.trains and n_training >= self.at_once):
                n_training += job.trains
                self._start(job)

    def _start(self, job: Job) -> None:
        write_json(job.path / "start.json", {"pid": 0, "born": None})  # the process writes it anew; never started twice
        command = [sys.executable, "-m", "p5core.cli.job", str(job.path), *job.arguments]
        pid = start(command, self.folder, job.path / "output.txt")
        write_json(job.path / "start.json", {"pid": pid, "born": born(pid) or ""})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time changes anything, in whatever process it is."""
        (self.folder / "jobs").mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "jobs" / "lock"):
            yield


def _check(text: str, name: str) -> None:
    check_run_name(name)
    try:
        parse_experiment(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The experiment is not valid TOML: {error}.") from None
