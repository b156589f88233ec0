"""All runs and their states, for the tables of the pages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from p5core.errors import P5Error
from p5core.runs.create import list_runs
from p5core.runs.curves import best_figures
from p5core.runs.documents import Status
from p5core.runs.job import Job
from p5core.runs.run import Run
from p5ui.workspace.workspace import Workspace

__all__ = ["ACTIVE", "DEMO", "RunRow", "find_row", "run_folder", "run_rows", "stage_names", "tail"]

ACTIVE = ("queued", "starting", "running")
"""States of runs that may still change."""

DEMO = "demo"
"""The run that `p5 demo` makes; while it trains, its folder lies in a hidden one."""


@dataclass(frozen=True)
class RunRow:
    """The state of a run."""

    name: str
    state: str
    """queued, starting, running, stopped, failed, crashed, done; damaged or unknown for what P5 did not write"""

    share: float = 0.0
    """share done, from 0 to 1"""

    eta_seconds: float | None = None
    stage: str = ""
    epoch: int = 0
    best: tuple[str, float] | None = None
    """metric and value: on test events when it is done, else at the best validation"""

    message: str = ""
    silent_seconds: float = 0.0
    """seconds since the last sign of life of a running job"""


def run_rows(workspace: Workspace) -> list[RunRow]:
    """All runs and those to come: first what is active, then the newest."""
    jobs = {job.run: job for job in workspace.jobs.all() if job.trains}
    runs = {run.path.relative_to(workspace.runs).as_posix(): run for run in list_runs(workspace.runs)}
    names = [name for name in reversed(jobs) if name not in runs] + list(runs)
    rows = [_row(workspace, name, jobs.get(name)) for name in names]
    return sorted(rows, key=lambda row: row.state not in ACTIVE)


def find_row(workspace: Workspace, name: str) -> RunRow | None:
    """The state of one run; None if it does not exist."""
    return next((row for row in run_rows(workspace) if row.name == name), None)


def run_folder(workspace: Workspace, name: str, job: Job | None = None) -> Path:
    """Folder of a run's files while it trains."""
    hidden = workspace.runs / f".{DEMO}" / DEMO
    job = job or (workspace.jobs.of(name) if name == DEMO else None)
    is_hidden = name == DEMO and job is not None and job.arguments[0] == "demo" and job.state() != "done"
    return hidden if is_hidden and hidden.exists() else workspace.inside(f"runs/{name}")


def stage_names(workspace: Workspace, folder: Path) -> list[str]:
    """The stages of the run in a folder, in their order; none while its experiment is not there."""
    names: list[str] = workspace.file_cache.read(_stages, folder / "experiment.toml")
    return names


def tail(path: Path, n_characters: int = 20_000) -> str:
    """The end of a text file; empty when there is none yet."""
    return path.read_text(encoding="utf-8", errors="replace")[-n_characters:] if path.is_file() else ""


def _row(workspace: Workspace, name: str, job: Job | None) -> RunRow:
    asked = job.state() if job else ""
    path = run_folder(workspace, name, job)
    if not _is_run(path):
        return RunRow(name, {"running": "starting"}.get(asked, asked), message=_last_line(job) if job else "")
    status: Status = workspace.file_cache.read(_status, path / "status.json")
    state = str(Run(path).state())
    if asked == "queued":
        state = "queued"
    elif asked == "running" and state != "running":
        state = "starting"
    elif asked in ("failed", "crashed") and state == "unknown":
        state = asked
    is_running = state == "running"
    return RunRow(
        name,
        state,
        status.share,
        status.eta_seconds if is_running else None,
        status.stage or "",
        status.epoch or 0,
        _best(workspace, path, state),
        status.message,
        status.silent_seconds if is_running else 0.0,
    )


def _is_run(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except OSError:  # no file system holds such a name
        return False


def _status(path: Path) -> Status:
    return Run(path.parent).status()


def _best(workspace: Workspace, path: Path, state: str) -> tuple[str, float] | None:
    """The watched metric of a run: the one that its last stage names, else ndcg@10, else the last one."""
    tested: Mapping[str, float | None] = (
        workspace.file_cache.read(_tested, path / "metrics.json") if state == "done" else {}
    )
    measured = tested or workspace.file_cache.read(best_figures, path / "events.jsonl")
    figures = {label: value for label, value in measured.items() if isinstance(value, float)}
    candidates = (workspace.file_cache.read(_watched, path / "experiment.toml"), "ndcg@10", *list(figures)[-1:])
    return next(((label, figures[label]) for label in candidates if label in figures), None)


def _tested(path: Path) -> Mapping[str, float | None]:
    try:
        return dict(Run(path.parent).metrics().test["model"])
    except (P5Error, OSError, KeyError, TypeError, RecursionError):  # damaged, or changed since the run
        return {}


def _stages(path: Path) -> list[str]:
    try:
        return [str(stage["name"]) for stage in tomllib.loads(path.read_text(encoding="utf-8"))["stages"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _watched(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8"))["stages"][-1].get("watch", ""))
    except (OSError, ValueError, LookupError):
        return ""


def _last_line(job: Job) -> str:
    """The last line of output of a job without a run folder."""
    lines = [line for line in job.output(2_000).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""
