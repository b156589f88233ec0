"""Run folders: what is written while a run goes on, and how a finished one is trusted.

runs/NAME/
  run.json              format, version, fold
  experiment.toml       what runs, every option spelt out
  report.json           what preparation and split did
  data/                 the prepared data set
  status.json           state, pid and its beginning, heartbeat, share done, time left
  events.jsonl, log.txt losses and metrics as they come; the same for people
  checkpoints/          last and best weights while training
  weights.safetensors   the trained network
  metrics.json          figures of model and baselines
  per_user.safetensors  figures of each test user, for paired tests
  manifest.json         SHA-256 of all files that must not change; with it the run is done
  lock                  held by the process that writes the run

A run gets its name when its experiment and data are whole; until then its folder is hidden.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from p5core.config.experiment import Experiment, dump_experiment, load_experiment
from p5core.errors import ConfigError, RunError
from p5core.system.files import read_json, sha256, write_json, write_text
from p5core.system.processes import lives

__all__ = [
    "FORMAT",
    "NAME",
    "Run",
    "check_run_name",
    "create_run",
    "free_name",
    "list_runs",
    "open_run",
    "replace_run",
    "to_run_name",
]

FORMAT = 1
"""Version of the folder's layout; a folder of another one is refused."""

SEALED = ("run.json", "experiment.toml", "report.json", "weights.safetensors", "metrics.json", "per_user.safetensors")


LARGEST = 10**15
"""Above all numbers that a status holds."""

STATES = ("starting", "running", "stopped", "failed", "done")
"""What a status may say; "crashed", "damaged" and "unknown" are what is found when it says less."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LARGEST


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _is_moment(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


STATUS: Mapping[str, Callable[[Any], bool]] = {
    "state": lambda value: value in STATES,
    "message": lambda value: isinstance(value, str),
    "pid": _is_count,
    "born": lambda value: value is None or isinstance(value, str),
    "share": lambda value: _is_number(value) and value <= 1,
    "stage": lambda value: isinstance(value, str),
    "epoch": _is_count,
    "eta_seconds": _is_number,
    "expected_seconds": lambda value: isinstance(value, list) and all(map(_is_number, value)),
    "heartbeat": _is_moment,
}
"""What a status holds; whatever is of another kind is not read."""

NAME = re.compile(r"\w[\w.-]{0,99}")
"""What a run may be called: its name is a folder's, stands in commands, and is shown in pages and terminals."""

LONGEST_NAME = 100
"""Bytes of a name; file systems take 255, and what is made beside a run has a longer name."""


@dataclass(frozen=True)
class Run:
    """A run folder and where everything in it lies."""

    path: Path

    @property
    def name(self) -> str:
        """Its name: that of the folder."""
        return self.path.name

    @property
    def data(self) -> Path:
        """The prepared data set."""
        return self.path / "data"

    @property
    def weights(self) -> Path:
        """The trained network."""
        return self.path / "weights.safetensors"

    @property
    def checkpoints(self) -> Path:
        """Weights while training."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """Where a stopped run goes on."""
        return self.checkpoints / "last.safetensors"

    def experiment(self) -> Experiment:
        """What this run is."""
        return load_experiment(self.path / "experiment.toml")

    def fold(self) -> tuple[int, int] | None:
        """(i, n) of a cross-validation fold."""
        fold = read_json(self.path / "run.json")["fold"]
        return None if fold is None else (fold[0], fold[1])

    def updated_from(self) -> str | None:
        """The run that this one was made from by an update with new events."""
        found = read_json(self.path / "run.json").get("updated_from")
        return None if found is None else str(found)

    def status(self) -> dict[str, Any]:
        """The latest state, as far as it can be read; empty before anything was written."""
        path = self.path / "status.json"
        try:
            found = read_json(path) if path.exists() else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            return {"state": "damaged"}
        known = {name: value for name, value in found.items() if name in STATUS and STATUS[name](value)}
        return known | ({"state": "damaged"} if found and "state" not in known else {})

    def expected_seconds(self) -> list[float]:
        """What each stage, and what follows them, was estimated to take; empty when nobody has estimated it."""
        return [float(one) for one in self.status().get("expected_seconds", ())]

    def is_sealed(self) -> bool:
        """Whether the manifest, the last file of a run, was written: then the run is done, whatever its status says."""
        return (self.path / "manifest.json").exists()

    def state(self) -> str:
        """The state; a run that claims to be running without a living process is "crashed"."""
        if self.is_sealed():
            return "done"
        status = self.status()
        state = str(status.get("state", "unknown"))
        return "crashed" if state in ("starting", "running") and not _is_alive(status) else state

    def metrics(self) -> dict[str, Any]:
        """The figures of a finished run; raises RunError when it is not finished or they were changed since."""
        path = self.path / "metrics.json"
        if not path.exists():
            state = self.status().get("state", "unknown")
            raise RunError(
                f"Run {self.path} has no metrics yet (state: {state}). Finish it with 'p5 run ... --resume'."
            )
        if self.is_sealed():
            self._check(path.name, self._hashes()[path.name])
        return _read(path, "test")

    def seal(self) -> None:
        """Record the hashes of all files that must not change any more."""
        files = {name: sha256(self.path / name) for name in (*SEALED, *self._data_files())}
        write_json(self.path / "manifest.json", {"format": FORMAT, "files": files})

    def _data_files(self) -> list[str]:
        """The files of the prepared data, relative to the folder."""
        found = [path for path in sorted(self.data.rglob("*.*")) if path.is_file()]
        return [path.relative_to(self.path).as_posix() for path in found]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone; raises RunError while another one holds it.

        The operating system frees the lock of a process that dies.
        """
        try:
            with FileLock(self.path / "lock", timeout=0):
                yield
        except Timeout:
            pid = self.status().get("pid", "unknown")
            raise RunError(
                f"Run {self.path} is being written by another process (pid {pid}). Wait for it to end, or stop it."
            ) from None

    def verify(self) -> None:
        """Raise RunError when a sealed file is missing or was changed, or the manifest does not list all of them."""
        for name, expected in self._hashes().items():
            self._check(name, expected)

    def _hashes(self) -> dict[str, str]:
        """What the manifest says of each file; raises RunError when it is missing, damaged or lacks a file."""
        manifest = self.path / "manifest.json"
        if not manifest.exists():
            state = self.status().get("state", "unknown")
            raise RunError(f"Run {self.path} is not finished (state: {state}). Finish it with 'p5 run ... --resume'.")
        found = _read(manifest, "files")
        if found.get("format") != FORMAT:
            raise RunError(
                f"{manifest} has format {found.get('format')!r}; this version of P5 reads format {FORMAT}. Open it "
                "with the version that made it."
            )
        files = found["files"]
        if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
            raise RunError(f"{manifest} cannot be read; the file is damaged. Restore it from a copy or run again.")
        unlisted = sorted({*SEALED, *self._data_files()} - set(files))
        if unlisted:
            raise RunError(f"{manifest} does not list {unlisted[0]}; it was changed. Restore it or run again.")
        return files

    def _check(self, name: str, expected: str) -> None:
        path = self.path / name
        if not path.is_file():
            raise RunError(f"Run {self.path} lacks its file {name}. Restore it from a copy or run again.")
        if sha256(path) != expected:
            raise RunError(f"{path} was changed after the run: its hash differs. Restore it or run again.")


def _read(path: Path, key: str) -> dict[str, Any]:
    """The content of a JSON file that must hold a `key`; raises RunError when it is damaged."""
    try:
        found = dict(read_json(path))
        found[key]
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} cannot be read; the file is damaged. Restore it from a copy or run again.") from None
    return found


def _is_alive(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a status still lives on this machine."""
    return "pid" in status and lives(status["pid"], status.get("born"))


def create_run(
    path: Path,
    experiment: Experiment,
    report: Mapping[str, Any],
    fold: tuple[int, int] | None,
    updated_from: str | None = None,
    fill: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Make a run folder; raises RunError when it exists, ConfigError for a name that no run may have.

    `fill` writes what else must be there. The folder is hidden until it has returned: a process that dies meanwhile
    leaves no run behind.
    """
    check_run_name(path.name)
    _refuse_existing(path)
    hidden = path.with_name(f".{path.name}.{os.getpid()}.new")
    run = Run(hidden)
    try:
        run.checkpoints.mkdir(parents=True)
        _write_head(run, experiment, report, fold, updated_from)
        fill(run)
        _refuse_existing(path)
        hidden.rename(path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return Run(path)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunError(f"Run folder {path} exists. Choose another --name, go on with --resume, or delete it first.")


def _write_head(
    run: Run,
    experiment: Experiment,
    report: Mapping[str, Any],
    fold: tuple[int, int] | None,
    updated_from: str | None,
) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"format": FORMAT, "p5": version("p5rec"), "created": started, "fold": fold, "updated_from": updated_from}
    write_json(run.path / "run.json", about)
    write_text(run.path / "experiment.toml", dump_experiment(experiment))
    write_json(run.path / "report.json", report)


def check_run_name(name: str) -> None:
    """Raise ConfigError unless a run may have this name."""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST_NAME:
        raise ConfigError(
            f"{name!r} is no name for a run. Take up to 100 letters, digits, '.', '_' and '-' (of other alphabets "
            "fewer), with a letter, a digit or '_' first."
        )


def to_run_name(text: str) -> str:
    """A name for a run that is like a text, such as the stem of a file."""
    plain = re.sub(r"[^\w.-]+", "-", text).strip("-.").encode()[:LONGEST_NAME]
    return plain.decode(errors="ignore").strip("-.") or "run"


def open_run(path: Path) -> Run:
    """Find a run folder; raises RunError when it is none or of another version."""
    about = path / "run.json"
    if not about.is_file():
        raise RunError(f"{path} is no run folder: it has no run.json. 'p5 runs list' shows the runs there are.")
    found = _read(about, "format")["format"]
    if found != FORMAT:
        raise RunError(
            f"Run {path} has format {found}; this version of P5 reads format {FORMAT}. Open it with the version that "
            "made it, or run its experiment.toml again."
        )
    return Run(path)


def list_runs(folder: Path) -> list[Run]:
    """All run folders in `folder` and one level below (folds), newest first."""
    found = [about.parent for pattern in ("*/run.json", "*/*/run.json") for about in folder.glob(pattern)]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return [Run(path) for path in sorted(found, key=lambda one: (one / "run.json").stat().st_mtime, reverse=True)]


def free_name(folder: Path, stem: str) -> str:
    """`stem`, or `stem-2`, `stem-3` … when it is taken."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10_000))
    return next(name for name in names if not (folder / name).exists())


def replace_run(new: Path, old: Path) -> Run:
    """Put a finished run folder in the place of another one."""
    if old.exists():
        if not (old / "run.json").is_file():
            raise RunError(f"{old} is no run folder and is left alone. Move it away and try again.")
        shutil.rmtree(old)
    new.rename(old)
    return Run(old)
