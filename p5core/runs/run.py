"""Run folders: the files of a run, and the checks of a finished one.

runs/NAME/
  run.json              format, version, fold, and the distribution of every part
  experiment.toml       what was asked for, every option spelt out
  probe.json            short trainings, and the options that they have chosen
  report.json           what preparation and split did
  data/                 the prepared data set
  features/             inputs of the encoders, one file each
  split.safetensors     role of every event
  status.json           state, pid and its beginning, heartbeat, share done, time left
  events.jsonl, log.txt losses and metrics as they come; the same for people
  checkpoints/          while training: last and best weights, the blend, SHA-256 of the prepared files
  weights.safetensors   the trained network
  blend.json, blend.safetensors  scorers that are blended with it, and their weights
  metrics.json          figures of model and baselines
  per_user.safetensors  figures of each test user, for paired tests
  manifest.json         SHA-256 of all files that must not change; with it the run is done
  lock                  held by the process that writes the run

A run gets its name when its experiment and data are whole; until then its folder is hidden.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from p5core.config.document import load_experiment, with_values
from p5core.config.experiment import Experiment
from p5core.errors import RunError
from p5core.runs.documents import (
    FORMAT,
    READ_FORMATS,
    Manifest,
    Metrics,
    RunInfo,
    RunState,
    Status,
    Trials,
    Versioned,
)
from p5core.system.files import read_json, sha256, write_json
from p5core.system.folders import remove_leftovers
from p5core.system.processes import lives

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Run", "read_document"]

PREPARED = ("run.json", "experiment.toml", "report.json")

SEALED = (*PREPARED, "weights.safetensors", "metrics.json", "per_user.safetensors")

BLEND = ("blend.json", "blend.safetensors")

PROBE = "probe.json"

DocumentT = TypeVar("DocumentT", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """A run folder and the paths of its files."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def data(self) -> Path:
        """The prepared data set."""
        return self.path / "data"

    def source_data(self, stage: int, nth: int) -> Path:
        """A prepared data set of a stage's own, the `nth` of its sources."""
        return self.data / (f"stage-{stage}-{nth}" if nth else f"stage-{stage}")

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
        """Checkpoint from which a stopped run resumes."""
        return self.checkpoints / "last.safetensors"

    @property
    def prepared(self) -> Path:
        """Hashes of everything that training reads, until it is done."""
        return self.checkpoints / "prepared.json"

    @property
    def blended(self) -> Path:
        """Hashes of the blend, until the run is done."""
        return self.checkpoints / "blend.json"

    @property
    def features(self) -> Path:
        """The inputs of the encoders."""
        return self.path / "features"

    def asked(self) -> Experiment:
        """The experiment as it was asked for."""
        return load_experiment(self.path / "experiment.toml")

    def experiment(self) -> Experiment:
        """The experiment of this run, with the options that its short trainings have chosen."""
        asked, chosen = self.asked(), self.trials().chosen
        return asked if chosen is None else with_values(asked, {**chosen, "probe": False})

    def trials(self) -> Trials:
        """The short trainings so far; raises RunError when their record was damaged."""
        path = self.path / PROBE
        trials = read_document(path, Trials) if path.exists() else Trials()
        if path.exists() and trials.sha256 != self._hash_of(trials):
            raise RunError(f"{path} was changed since P5 wrote it: its hash differs. Restore it or run again.")
        return trials

    def write_trials(self, trials: Trials) -> None:
        """Replace the record of the short trainings."""
        sound = trials.model_copy(update={"sha256": self._hash_of(trials)})
        write_json(self.path / PROBE, sound.model_dump(mode="json"))

    def _hash_of(self, trials: Trials) -> str:
        text = trials.model_dump_json(exclude={"sha256"})
        return hashlib.sha256(f"{sha256(self.path / 'experiment.toml')}{text}".encode()).hexdigest()

    def info(self) -> RunInfo:
        """Origin of the run; raises RunError when it is damaged."""
        return read_document(self.path / "run.json", RunInfo)

    def fold(self) -> tuple[int, int] | None:
        """(i, n) of a cross-validation fold."""
        return self.info().fold

    def updated_from(self) -> str | None:
        """The run that this one was made from by an update with new events."""
        return self.info().updated_from

    def is_measured(self) -> bool:
        """True if its figures are of its own model: not of the run that it was updated or refitted from."""
        info = self.info()
        return info.updated_from is None and info.refit is None

    def roles(self) -> list[npt.NDArray[np.int8]]:
        """Roles of the events of the target, then of each stage; empty for a run that does not store its split."""
        from safetensors.numpy import load_file

        path = self.path / "split.safetensors"
        stored = load_file(path) if path.exists() else {}
        return [stored[name] for name in sorted(stored, key=int)]

    def status(self) -> Status:
        """The latest status, as far as it can be read; an empty one before anything was written."""
        path = self.path / "status.json"
        try:
            return Status.read(read_json(path) if path.exists() else {})
        except (OSError, ValueError, RecursionError):
            return Status(state=RunState.DAMAGED)

    def write_status(self, status: Status) -> None:
        """Replace the status."""
        write_json(self.path / "status.json", status.dump())

    def is_sealed(self) -> bool:
        """True if the manifest, the last file of a run, exists; the run is then complete, whatever its status."""
        return (self.path / "manifest.json").exists()

    def state(self) -> RunState:
        """The state; a run that claims to be running without a living process is "crashed"."""
        if self.is_sealed():
            return RunState.DONE
        status = self.status()
        is_alive = status.pid is not None and lives(status.pid, status.born)
        return RunState.CRASHED if status.state.is_written and not is_alive else status.state

    def metrics(self) -> Metrics:
        """The figures of a finished run; raises RunError when it is not finished or they were changed since."""
        path = self.path / "metrics.json"
        if not path.exists():
            raise RunError(
                f"Run {self.path} has no metrics yet (state: {self.status().state}). Finish it with "
                "'p5 run ... --resume'."
            )
        if self.is_sealed():
            self._check(path.name, self._hashes(self._manifest(), self._sealed())[path.name])
        return read_document(path, Metrics)

    def seal(self) -> None:
        """Record the hashes of all files that must not change any more."""
        self._write_hashes(self.path / "manifest.json", (*self._sealed(), *self._data_files()))

    def record_prepared(self) -> None:
        """Record the hashes of the files that training reads."""
        self._write_hashes(self.prepared, (*PREPARED, *self._data_files()))

    def _write_hashes(self, path: Path, names: Iterable[str]) -> None:
        files = {name: sha256(self.path / name) for name in names}
        write_json(path, Manifest(format=FORMAT, files=files).model_dump())

    def seal_hash(self) -> str:
        """SHA-256 of the manifest, which tells a finished run from every other."""
        return sha256(self._manifest())

    def record_blend(self) -> None:
        """Record the hashes of the blend, which was chosen before the evaluation."""
        self._write_hashes(self.blended, self._of_blend())

    def _of_blend(self) -> tuple[str, ...]:
        """Names that the hashes of the blend must list: its files, and the list that tells its run from others."""
        return (*BLEND, self.prepared.relative_to(self.path).as_posix())

    def has_blend(self) -> bool:
        """True if the blend was chosen; raises RunError when it was damaged since."""
        if not self.blended.exists():
            return False
        hashes = self._hashes(self.blended, self._of_blend(), of_data=False)
        for name, expected in hashes.items():
            self._check(name, expected)
        return True

    def check_prepared(self) -> None:
        """Raise RunError unless the files that training reads are as they were prepared.

        Runs of P5 0.1 have no hashes of them.
        """
        if not self.prepared.exists():
            if self.info().format == 1:
                return
            raise RunError(f"Run {self.path} lacks its file checkpoints/{self.prepared.name}. Run it again.")
        self._check_all(self.prepared, PREPARED)

    def _data_files(self) -> list[str]:
        """The files of the prepared data, of features and split, relative to the folder."""
        folders = (self.data, self.features)
        files = [path for folder in folders for path in sorted(folder.rglob("*.*")) if path.is_file()]
        split = self.path / "split.safetensors"
        return [path.relative_to(self.path).as_posix() for path in (*files, *([split] if split.exists() else []))]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone; raises RunError while another one holds it.

        The operating system frees the lock of a process that dies.
        """
        try:
            with FileLock(self.path / "lock", timeout=0):
                if self.state().is_written and self.status().pid != os.getpid():  # its lock was deleted
                    raise self._in_use()
                for folder in (self.path, self.checkpoints):
                    remove_leftovers(folder)
                yield
        except Timeout:
            raise self._in_use() from None

    def _in_use(self) -> RunError:
        return RunError(
            f"Run {self.path} is being written by another process (pid {self.status().pid}). Wait for it to end, or "
            "stop it."
        )

    def verify(self, *names: str) -> None:
        """Raise RunError when a sealed file is missing or was changed, or the manifest does not list all of them.

        Of the contents those of `names` alone are looked at, or all.
        """
        self._check_all(self._manifest(), self._sealed(), names)

    def _sealed(self) -> tuple[str, ...]:
        """The files that the manifest must list; a blend that it does not list would be read all the same."""
        return (*SEALED, *(name for name in (*BLEND, PROBE) if (self.path / name).exists()))

    def _manifest(self) -> Path:
        """manifest.json; raises RunError while it is missing."""
        path = self.path / "manifest.json"
        if not path.exists():
            raise RunError(
                f"Run {self.path} is not finished (state: {self.status().state}). Finish it with 'p5 run ... --resume'."
            )
        return path

    def _check_all(self, manifest: Path, required: Iterable[str], names: Sequence[str] = ()) -> None:
        """Compare files with their hashes: those of `names`, or all; raises RunError."""
        for name, expected in self._hashes(manifest, required).items():
            if not names or name in names:
                self._check(name, expected)

    def _hashes(self, path: Path, required: Iterable[str], *, of_data: bool = True) -> dict[str, str]:
        """File → hash, from a manifest; raises RunError when it is damaged or incomplete."""
        version = read_document(path, Versioned).format
        if version not in READ_FORMATS:
            raise RunError(
                f"{path} has format {version}; this version of P5 reads format {FORMAT}. Open it with the "
                "version that made it."
            )
        manifest = read_document(path, Manifest)
        unlisted = sorted({*required, *(self._data_files() if of_data else ())} - set(manifest.files))
        if unlisted:
            raise RunError(f"{path} does not list {unlisted[0]}; it was changed. Restore it or run again.")
        return manifest.files

    def _check(self, name: str, expected: str) -> None:
        path = self.path / name
        if not path.is_file():
            raise RunError(f"Run {self.path} lacks its file {name}. Restore it from a copy or run again.")
        if sha256(path) != expected:
            raise RunError(f"{path} was changed since P5 wrote it: its hash differs. Restore it or run again.")


def read_document(path: Path, model: type[DocumentT]) -> DocumentT:
    """A JSON document of a run; raises RunError when it is damaged."""
    try:
        return model.model_validate(read_json(path))
    except (OSError, ValueError, ValidationError, RecursionError):
        raise RunError(f"{path} cannot be read; the file is damaged. Restore it from a copy or run again.") from None
