"""Actions of the page Export: command options, the job, the contents of an export, and its latency."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import numpy as np
import pandas as pd

from p5core.data.columns import DOMAIN, ITEM
from p5core.runs.job import ACTIVE, Job
from p5core.runs.run import Run
from p5ui.workspace.workspace import Workspace

if TYPE_CHECKING:
    from p5core.data.dataset import Dataset
    from p5export.bundle.bundle import Bundle
    from p5export.runtime import OnnxRecommender

__all__ = [
    "Latency",
    "Option",
    "ask_export",
    "bundle_of",
    "columns_of",
    "command_line",
    "export_facts",
    "export_options",
    "latest_export_job",
    "measure_latency",
    "parity_frame",
    "questions",
    "size_frame",
    "verified",
    "zip_of",
]

SECONDS = 1.5
CALLS = 2_000
"""A measurement ends after so much time or so many calls."""

VERIFY_SECONDS = 180


@dataclass(frozen=True)
class Option:
    """One option of `p5 export`."""

    name: str
    flag: str
    help: str
    kind: Literal["flag", "choice", "number", "texts", "file"]
    default: Any = None
    choices: tuple[str, ...] = ()


def export_options() -> list[Option]:
    """The options of the command, without the folder that it writes to and the key, which no page should keep."""
    from p5export.cli.export import export

    options = [parameter for parameter in export.params if isinstance(parameter, click.Option)]
    return [_option(option) for option in options if option.name not in ("output", "key")]


def _option(option: click.Option) -> Option:
    name, flag, text = str(option.name), max(option.opts, key=len), option.help or ""
    if option.is_flag:
        return Option(name, flag, text, "flag", False)
    if isinstance(option.type, click.Choice):
        return Option(name, flag, text, "choice", option.default, tuple(map(str, option.type.choices)))
    if option.multiple:
        return Option(name, flag, text, "texts", [])
    return Option(name, flag, text, "file" if isinstance(option.type, click.Path) else "number")


def command_line(run: Run, options: Sequence[Option], values: Sequence[Any]) -> list[str]:
    """The arguments of `p5` that export a run so; options at their defaults, and a number of 0, are left out."""
    line = ["export", str(run.path)]
    for option, value in zip(options, values, strict=True):
        if option.kind == "flag":
            line += [option.flag] * bool(value)
        elif option.kind == "texts":
            line += [word for entry in value or [] for word in (option.flag, str(entry))]
        elif value not in (None, "", 0, option.default):
            line += [option.flag, str(int(value) if option.kind == "number" else value)]
    return line


def columns_of(run: Run) -> list[str]:
    """Columns of the items that an export can return."""
    import pyarrow.parquet as pq

    names = pq.read_schema(run.data / "target" / "items.parquet").names
    return [name for name in names if name not in (ITEM, DOMAIN) and not name.startswith("__")]


def latest_export_job(workspace: Workspace, name: str) -> Job | None:
    """The export of a run that was asked for last."""
    jobs = [job for job in workspace.jobs.all() if job.run == name and job.arguments[0] == "export"]
    return jobs[-1] if jobs else None


def bundle_of(run: Run) -> Bundle | None:
    """The export of a run, when there is one."""
    from p5export.bundle.bundle import Bundle

    folder = run.path / "export"
    return Bundle.load(folder) if (folder / "p5.json").is_file() else None


def ask_export(workspace: Workspace, name: str, columns: Sequence[str]) -> str:
    """Queue the export of a run; returns its name. Raises RunError for one that is not finished."""
    run = workspace.run(name)
    run.metrics()
    line = ["export", str(run.path), *(word for column in columns for word in ("--column", column))]
    return workspace.jobs.submit_command(line, name).run


def export_facts(workspace: Workspace, name: str) -> dict[str, Any]:
    """State of the latest export of a run, with what it said when it failed, and what there is of it.

    Nothing is told of files while an export is under way: they may change.
    """
    job = latest_export_job(workspace, name)
    state = job.state() if job else ""
    bundle = None if state in ACTIVE else bundle_of(workspace.run(name))
    said = job.output().strip() if job and state == "failed" else ""
    facts: dict[str, Any] = {"state": state, "message": said.rpartition("\n")[2].removeprefix("Error: ")}
    if bundle is None:
        return facts
    folder = bundle.folder.relative_to(workspace.folder).as_posix()
    return {**facts, "folder": folder, "files": bundle.manifest["files"], "parity": bundle.manifest["parity"]}


def zip_of(bundle: Bundle) -> Path:
    """The export as one file, packed anew when the export is newer."""
    from p5export.bundle.bundle import zip_folder

    path = bundle.folder.with_suffix(".zip")
    if not path.exists() or path.stat().st_mtime < (bundle.folder / "p5.json").stat().st_mtime:
        zip_folder(bundle.folder, path)
    return path


def parity_frame(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """Test metrics through PyTorch and through ONNX Runtime."""
    parity = manifest["parity"]
    rows = [
        (label, _figure(value), _figure(parity["exported"].get(label))) for label, value in parity["network"].items()
    ]
    return pd.DataFrame(rows, columns=["metric", "PyTorch", "ONNX Runtime"])


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def size_frame(bundle: Bundle) -> pd.DataFrame:
    """The files of an export and their sizes."""
    paths = [bundle.folder / name for name in ("p5.json", *bundle.manifest["files"])]
    rows = [(path.name, _size(path.stat().st_size)) for path in sorted(paths) if path.is_file()]
    return pd.DataFrame(rows, columns=["file", "size"])


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:,.1f} kB"


@dataclass(frozen=True)
class Latency:
    """Latencies of single requests."""

    n: int
    p50: float
    p95: float
    """milliseconds"""


def questions(model: OnnxRecommender, dataset: Dataset, n: int = 64) -> list[Any]:
    """Histories of users of the data, as a model takes them; users for one that reads no history."""
    users = np.random.default_rng(0).choice(len(dataset.users), min(n, len(dataset.users)), replace=False)
    if not model.uses_history:
        return list(dataset.users.decode(users))
    histories = dataset.events.histories
    return [dataset.catalogue.decode(histories[user]) for user in users]


def measure_latency(model: OnnxRecommender, whos: Sequence[Any], k: int = 10, seconds: float = SECONDS) -> Latency:
    """Ask one by one, in turns, for about so many seconds; the first calls, which load the model, do not count."""
    for who in whos[:3]:
        model.recommend(who, k)
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < CALLS and (not taken or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        model.recommend(whos[len(taken) % len(whos)], k)
        taken.append(1_000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(taken, [50, 95])
    return Latency(len(taken), float(p50), float(p95))


def verified(workspace: Workspace, path: Path) -> tuple[bool, str]:
    """Result of verifying an export or a zip of one, and the sentence of `p5 verify`.

    A process of its own looks at it: a file from elsewhere may bring ONNX Runtime down.
    """
    job = workspace.jobs.submit_command(["verify", str(path)])
    until = time.monotonic() + VERIFY_SECONDS
    while job.state() in ACTIVE and time.monotonic() < until:
        time.sleep(0.1)
    lines = [line for line in job.output().splitlines() if line and not line.startswith("Warning:")]
    text = re.sub(r"/\S*?" + re.escape(path.name), path.name, lines[-1]) if lines else ""
    return job.state() == "done", text.removeprefix("Error: ")
