"""Making, finding and replacing run folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from p5core.config.document import dump_experiment
from p5core.config.experiment import Experiment
from p5core.errors import RunError
from p5core.runs.documents import FORMAT, READ_FORMATS, PartRecord, Refit, RunInfo, Versioned
from p5core.runs.names import check_run_name
from p5core.runs.run import Run, read_document
from p5core.system.files import write_json, write_text
from p5core.system.folders import hidden_path, remove_leftovers, replace_folder

__all__ = ["create_run", "list_runs", "open_run", "replace_run"]


def create_run(
    path: Path,
    experiment: Experiment,
    report: Mapping[str, Any],
    fold: tuple[int, int] | None,
    updated_from: str | None = None,
    parts: Sequence[PartRecord] = (),
    source: str | None = None,
    refit: Refit | None = None,
    fill: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Make a run folder; raises RunError when it exists, ConfigError for a name that no run may have.

    `source` is the hash of what its weights start from. `fill` writes what else must be there. The folder is hidden
    until it has returned: a process that dies meanwhile leaves no run behind.
    """
    check_run_name(path.name)
    _refuse_existing(path)
    remove_leftovers(path.parent)
    hidden = hidden_path(path)
    run = Run(hidden)
    try:
        run.checkpoints.mkdir(parents=True)
        origin = {"fold": fold, "updated_from": updated_from, "source": source, "refit": refit}
        write_json(run.path / "run.json", _about(origin, parts).model_dump(mode="json"))
        write_text(run.path / "experiment.toml", dump_experiment(experiment))
        write_json(run.path / "report.json", report)
        fill(run)
        if not run.is_sealed():
            run.record_prepared()
        _refuse_existing(path)
        hidden.rename(path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return Run(path)


def _about(origin: Mapping[str, Any], parts: Sequence[PartRecord]) -> RunInfo:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return RunInfo(format=FORMAT, p5=version("p5rec"), created=started, parts=list(parts), **origin)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunError(f"Run folder {path} exists. Choose another --name, go on with --resume, or delete it first.")


def open_run(path: Path) -> Run:
    """Find a run folder; raises RunError when it is none or of another version."""
    if not (path / "run.json").is_file():
        raise RunError(f"{path} is no run folder: it has no run.json. 'p5 runs list' shows the runs there are.")
    version = read_document(path / "run.json", Versioned).format
    if version not in READ_FORMATS:
        raise RunError(
            f"Run {path} has format {version}; this version of P5 reads format {FORMAT}. Open it with the version that "
            "made it, or run its experiment.toml again."
        )
    return Run(path)


def list_runs(folder: Path) -> list[Run]:
    """All run folders in `folder` and one level below (folds), newest first."""
    folders = [about.parent for pattern in ("*/run.json", "*/*/run.json") for about in folder.glob(pattern)]
    folders = [path for path in folders if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return [Run(path) for path in sorted(folders, key=lambda one: (one / "run.json").stat().st_mtime, reverse=True)]


def replace_run(new: Path, old: Path) -> Run:
    """Put a finished run folder in the place of another one."""
    if old.exists() and not (old / "run.json").is_file():
        raise RunError(f"{old} is no run folder and is left alone. Move it away and try again.")
    replace_folder(new, old)
    return Run(old)
