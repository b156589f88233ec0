"""Drafts of experiments: storage, initial content and checks."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.config.tree import parse_toml
from p5core.errors import ConfigError
from p5core.plugins.registry import Registry
from p5core.runs.job import Job
from p5core.runs.names import NAME
from p5core.system.files import write_text
from p5core.system.processes import kill, start
from p5ui.workspace.sandbox import hold_to_folder
from p5ui.workspace.workspace import Workspace

__all__ = [
    "Ahead",
    "beginning",
    "begun_with",
    "check",
    "delete_draft",
    "draft_names",
    "free_run_name",
    "planned",
    "read_draft",
    "save_draft",
    "tree_of",
]

PATIENCE_SECONDS = 120
PARTS = ("data", "prepare", "split")
"""Sections that belong to the data, not to the model."""


@dataclass(frozen=True)
class Ahead:
    """The latest text of a form, and earlier texts that a browser may still show.

    A person can change a second option before the answer to the first has arrived. The second change then comes with
    a text that is no longer the latest one, and belongs to the latest one.
    """

    text: str = ""
    past: frozenset[str] = frozenset()

    def latest(self, shown: str) -> str:
        """The text that a change belongs to which comes with this one."""
        return self.text if shown in self.past else shown

    def then(self, shown: str, text: str) -> Ahead:
        """After a change that came with one text and made another of the latest."""
        past = self.past | {self.text} if shown in self.past else {shown}
        return Ahead(text, frozenset(past - {text}))


def draft_names(workspace: Workspace) -> list[str]:
    """Names of all drafts, newest first, then of the examples in the working folder."""
    drafts = sorted(workspace.experiments.glob("*.toml"), key=lambda path: -path.stat().st_mtime)
    examples = sorted((workspace.folder / "examples").glob("*.toml"))
    return [path.stem for path in drafts] + [f"examples/{path.stem}" for path in examples]


def read_draft(workspace: Workspace, name: str) -> str:
    """The text of a draft; raises ConfigError when there is none."""
    place = name if name.startswith("examples/") else f"experiments/{name}"
    path = workspace.inside(f"{place}.toml")
    if not path.is_file():
        raise ConfigError(f"There is no draft '{name}'. Save one on the page Data, or choose another.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"The draft '{name}' is not valid UTF-8: {error}.") from None


def save_draft(workspace: Workspace, name: str, text: str) -> str:
    """Keep an experiment; returns its name. Raises ConfigError for a name that a file cannot have or for faulty text.

    Options of parts need not be right yet.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a draft. Take letters, digits, '.', '_' and '-', a letter first.")
    parse_experiment(tree_of(text))
    workspace.experiments.mkdir(parents=True, exist_ok=True)
    write_text(workspace.inside(f"experiments/{name}.toml"), text)
    return name


def delete_draft(workspace: Workspace, name: str) -> None:
    """Delete a draft; raises ConfigError when there is none of that name."""
    if not NAME.fullmatch(name) or name not in draft_names(workspace):
        raise ConfigError(f"{name!r} is not among the drafts, and those alone can be deleted here.")
    workspace.inside(f"experiments/{name}.toml").unlink()


def tree_of(text: str) -> dict[str, Any]:
    """The plain values of TOML; raises ConfigError with the place of a fault."""
    return parse_toml(text, "The experiment")


def check(text: str, workspace: Workspace) -> Experiment:
    """The experiment, checked together with parts and options; raises P5Error."""
    experiment = parse_experiment(tree_of(text))
    hold_to_folder(experiment, workspace)
    from p5core.fitting.experiment_data import check_experiment

    check_experiment(experiment, workspace.registry)
    return experiment


def beginning(data: Mapping[str, Any], preset: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment of a preset for a data section; `sections` replace the preset's."""
    return {**preset, "data": dict(data), **sections}


def begun_with(registry: Registry, name: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment of a preset, for the data of a draft and with its encoders."""
    preset = parse_toml(registry.choose("preset", name).build().sections(None), f"preset {name}")
    encoders = tree.get("model", {}).get("encoders")
    if encoders:
        preset["model"] = {**preset["model"], "encoders": encoders}
    return preset | {key: tree[key] for key in PARTS if key in tree}


def free_run_name(workspace: Workspace, name: str) -> str:
    """A name like that of a draft which no run has yet."""
    stem = name.rpartition("/")[2] or "run"
    taken = {*workspace.run_names(), *(job.run for job in workspace.jobs.all())}
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(run_name for run_name in names if run_name not in taken)


def planned(text: str, workspace: Workspace) -> Mapping[str, Any]:
    """The plan that `p5 run --dry-run --json` prints, from a process of its own, so that no page waits for it.

    Raises ConfigError with what it complains of, or when it takes too long.
    """
    check(text, workspace)
    with tempfile.TemporaryDirectory(prefix="p5-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_text(folder / "experiment.toml", text)
        arguments = ["run", str(folder / "experiment.toml"), "--dry-run", "--json"]
        command = [sys.executable, "-m", "p5core.cli.job", str(folder), *arguments]
        start(command, workspace.folder, folder / "output.txt")
        return _outcome(Job(folder))


def _outcome(job: Job) -> Mapping[str, Any]:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (job.path / "end.json").exists():
        if time.monotonic() > ends:
            _end(job)
            raise ConfigError(f"The estimate takes longer than {PATIENCE_SECONDS} s. Start the run to see how it goes.")
        time.sleep(0.1)
    output = job.output().strip()
    if job.state() not in ("done", "running"):
        raise ConfigError(output.removeprefix("Error: ").replace("\n", " ") or "The estimate ended without output.")
    plan: Mapping[str, Any] = json.loads(output.splitlines()[-1])
    return plan


def _end(job: Job) -> None:
    process = job.process()
    if process is not None:
        kill(*process)
