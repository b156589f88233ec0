"""The data of the page Compare as DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from p5core.config.document import dump_experiment
from p5core.errors import P5Error
from p5core.evaluation.metric_results import choose_metrics
from p5core.evaluation.segments import Traits, even_groups, segments, warm_and_cold
from p5core.runs.documents import RunState
from p5core.runs.run import Run
from p5core.system.files import write_text
from p5core.system.text import cell
from p5core.workflows.compare import (
    Compared,
    Side,
    compare_sides,
    controls,
    is_pretrained,
    stored_side,
    traits_of_run,
    without_pretraining,
)
from p5ui.workspace.workspace import Workspace

__all__ = [
    "Control",
    "Curves",
    "Paired",
    "curves",
    "figures_frame",
    "find_control",
    "finished_runs",
    "legend",
    "paired",
    "palette",
    "protocols",
    "sides_of",
]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Paul Tol's bright scheme: told apart by colour-blind people, readable on white and on black."""

N_GROUPS = 6
RESAMPLES = 2_000
"""Of paired tests and of the intervals of groups: enough for two digits, and quick."""


@dataclass(frozen=True, eq=False)
class Curves:
    """One metric by group of users; the columns are side, group, place, users, value, low, high."""

    history: pd.DataFrame
    popularity: pd.DataFrame
    warmth: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Paired:
    """Paired tests against one side, and a sentence for each pair that could not be tested."""

    rows: Sequence[tuple[Side, Compared]]
    refusals: Sequence[str]


@dataclass(frozen=True)
class Control:
    """The from-scratch control of a pre-trained run: a run, or the experiment that would make it."""

    name: str | None
    has_model: bool = True
    """True if its model has the same options as the run's"""

    experiment: str = ""
    """file below the working folder, when there is no run"""


def find_control(workspace: Workspace, names: Sequence[str]) -> Control | None:
    """The control of the first pre-trained run among some; saves its experiment when no such run is finished.

    None when nothing among them was pre-trained.
    """
    tuned = next((run for run in map(workspace.run, names) if is_pretrained(run.experiment())), None)
    if tuned is None:
        return None
    candidates = controls(tuned, map(workspace.run, finished_runs(workspace)))
    if candidates:
        same = candidates[0].experiment().model == tuned.experiment().model
        return Control(candidates[0].path.relative_to(workspace.runs).as_posix(), same)
    path = workspace.inside(f"experiments/{tuned.name}-from-scratch.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, dump_experiment(without_pretraining(tuned.experiment())))
    return Control(None, experiment=path.relative_to(workspace.folder).as_posix())


def finished_runs(workspace: Workspace) -> list[str]:
    """Names of the runs that have figures, newest first."""
    return [name for name in workspace.run_names() if workspace.run(name).status().state == RunState.DONE]


def sides_of(workspace: Workspace, names: Sequence[str]) -> dict[str, tuple[Run, str]]:
    """Name → side, for the models of runs and then their baselines."""
    runs = [(name, workspace.run(name)) for name in names]
    models = {name: (run, "model") for name, run in runs}
    scorers = [(name, run, scorer) for name, run in runs for scorer in run.metrics().test if scorer != "model"]
    return models | {f"{name}: {scorer}": (run, scorer) for name, run, scorer in scorers}


def protocols(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """The evaluation protocol of each run, equal ones once."""
    metrics = [workspace.run(name).metrics() for name in names]
    notes = [
        run_metrics.protocol_message.message() if run_metrics.protocol_message else run_metrics.protocol
        for run_metrics in metrics
    ]
    return list(dict.fromkeys(notes))


def figures_frame(sides: Mapping[str, tuple[Run, str]]) -> pd.DataFrame:
    """One row a model or baseline, one column a metric, intervals in brackets; equal baselines of several runs once."""
    rows: dict[str, dict[str, str]] = {}
    stored = {run.path: run.metrics() for run, _ in sides.values()}
    for name, (run, scorer) in sides.items():
        metrics = stored[run.path]
        row = {
            label: cell(metrics.test[scorer][label], metrics.intervals["test"].get(scorer, {}).get(label))
            for label in metrics.test[scorer]
        }
        if scorer == "model" or row not in [cells for other, cells in rows.items() if other.endswith(f": {scorer}")]:
            rows[name] = row
    frame = pd.DataFrame.from_dict(rows, orient="index").fillna("–")
    return frame.rename_axis("run").reset_index()


def paired(workspace: Workspace, sides: Mapping[str, tuple[Run, str]], reference: str) -> Paired:
    """Every model less the reference, on the same users."""
    against = _side(sides, reference)
    rows, refusals = [], []
    for name in [name for name, (_, scorer) in sides.items() if scorer == "model" and name != reference]:
        try:
            side = _side(sides, name)
            rows += [
                (side, comparison) for comparison in compare_sides(workspace.registry, side, against, RESAMPLES, 0)
            ]
        except P5Error as error:
            refusals.append(f"{name}: {error}")
    return Paired(rows, refusals)


def _side(sides: Mapping[str, tuple[Run, str]], name: str) -> Side:
    run, scorer = sides[name]
    return Side(name, stored_side(run, scorer).values)


def curves(workspace: Workspace, sides: Mapping[str, tuple[Run, str]], label: str) -> Curves:
    """A metric by history length, by popularity of what was to be found, and for warm and cold items."""
    metric = choose_metrics(workspace.registry, [label])[0]
    traits: dict[object, Traits] = {}
    frames: tuple[list[dict[str, Any]], ...] = ([], [], [])
    for name, (run, scorer) in sides.items():
        side = stored_side(run, scorer)
        if label not in side.values:
            continue
        run_traits = traits[run.path] = traits.get(run.path) or traits_of_run(run, workspace.registry)
        kinds = (
            even_groups(run_traits.history, N_GROUPS),
            even_groups(run_traits.popularity, N_GROUPS),
            warm_and_cold(run_traits),
        )
        for rows, groups in zip(frames, kinds, strict=True):
            rows += [
                {"side": name, "group": segment.name, "place": segment.place, "users": segment.n_users}
                | {"value": segment.value, "low": segment.low, "high": segment.high}
                for segment in segments(metric, side.values[label], groups, RESAMPLES, 0)
            ]
    columns = ["side", "group", "place", "users", "value", "low", "high"]
    return Curves(*(pd.DataFrame(rows, columns=columns) for rows in frames))


def palette(sides: Sequence[str]) -> dict[str, str]:
    """A colour for each side."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(sides)}


def legend(colours: Mapping[str, str]) -> str:
    """The colours of the sides as HTML that wraps where a window is narrow."""
    entries = "".join(
        f'<span style="white-space: nowrap"><span style="color: {colour}" aria-hidden="true">⬤</span> '
        f"{escape(name)}</span>"
        for name, colour in colours.items()
    )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem">{entries}</div>'
