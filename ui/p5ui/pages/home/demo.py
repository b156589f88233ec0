"""The demo as the walkthrough of the first page goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd

from p5core.errors import RunError
from p5core.runs.job import Job
from p5ui.i18n.messages import said
from p5ui.pages.runs.run_list import ACTIVE, DEMO, RunRow, find_row
from p5ui.workspace.workspace import Workspace

__all__ = ["EXPORT", "LOOK", "START", "TRAIN", "export_demo", "export_html", "figures", "start_demo", "step_of"]

START = 1
"""Steps of the walkthrough: what will happen,"""

TRAIN = 2
"""progress,"""

LOOK = 3
"""figures,"""

EXPORT = 4
"""and one file."""


def start_demo(workspace: Workspace) -> None:
    """Queue the demo, unless it trains or waits already."""
    row = find_row(workspace, DEMO)
    if row is None or row.state not in ACTIVE:
        workspace.jobs.submit_command(["demo", "--runs", str(workspace.runs)], DEMO)


def export_demo(workspace: Workspace) -> None:
    """Queue the export of the demo; raises RunError when it is not trained yet, or being exported."""
    run = workspace.run(DEMO)
    run.metrics()
    if _export_state(workspace) in ACTIVE:
        raise RunError("The demo is being exported already. Wait until it is done.")
    workspace.jobs.submit_command(["export", str(run.path), "--column", "title"], DEMO)


def step_of(workspace: Workspace, row: RunRow | None) -> int:
    """The step at which a returning user continues."""
    if row is None:
        return START
    if row.state != "done":
        return TRAIN
    return EXPORT if _export_state(workspace) or _model(workspace).is_file() else LOOK


def figures(workspace: Workspace, row: RunRow | None, headers: Mapping[str, str]) -> pd.DataFrame | None:
    """Test figures of the demo beside its baselines; None before there are any."""
    if row is None or row.state != "done":
        return None
    test = workspace.run(DEMO).metrics().test
    labels = list(test["model"])
    cells = {
        scorer: ["–" if figures.get(label) is None else f"{figures[label]:.4f}" for label in labels]
        for scorer, figures in test.items()
    }
    return pd.DataFrame({said(headers, "home.column_metric"): labels, **cells})


def export_html(workspace: Workspace, row: RunRow | None, headers: Mapping[str, str]) -> str:
    """The state of the export in a sentence."""
    state, model = _export_state(workspace), _model(workspace)
    if state in ACTIVE:
        text = said(headers, "home.export_running")
    elif model.is_file():
        size = f"{model.stat().st_size / 1024:,.0f} kB"
        text = said(headers, "home.export_done", file=model.relative_to(workspace.folder), size=size)
    elif state in ("failed", "crashed"):
        text = said(headers, "home.export_failed", reason=_reason(workspace))
    else:
        text = said(headers, "home.export_none" if row is not None and row.state == "done" else "home.export_waits")
    return f'<p style="overflow-wrap: anywhere">{escape(text)}</p>'


def _model(workspace: Workspace) -> Path:
    return workspace.inside(f"runs/{DEMO}") / "export" / "model.onnx"


def _export(workspace: Workspace) -> Job | None:
    """The latest export of the latest demo."""
    job = workspace.jobs.of(DEMO)
    return job if job and job.arguments[0] == "export" else None


def _export_state(workspace: Workspace) -> str:
    job = _export(workspace)
    return job.state() if job else ""


def _reason(workspace: Workspace) -> str:
    job = _export(workspace)
    lines = job.output(2_000).strip().splitlines() if job else []
    return lines[-1].removeprefix("Error: ") if lines else ""
