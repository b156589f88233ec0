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
from p5ui.workspace.workspace import Studio

__all__ = ["EXPORT", "LOOK", "START", "TRAIN", "export_demo", "export_html", "figures", "start_demo", "step_of"]

START = 1
"""Steps of the walkthrough: what will happen,"""

TRAIN = 2
"""progress,"""

LOOK = 3
"""figures,"""

EXPORT = 4
"""and one file."""


def start_demo(studio: Studio) -> None:
    """Queue the demo, unless it trains or waits already."""
    row = find_row(studio, DEMO)
    if row is None or row.state not in ACTIVE:
        studio.jobs.submit_command(["demo", "--runs", str(studio.runs)], DEMO)


def export_demo(studio: Studio) -> None:
    """Queue the export of the demo; raises RunError when it is not trained yet, or being exported."""
    run = studio.run(DEMO)
    run.metrics()
    if _export_state(studio) in ACTIVE:
        raise RunError("The demo is being exported already. Wait until it is done.")
    studio.jobs.submit_command(["export", str(run.path), "--column", "title"], DEMO)


def step_of(studio: Studio, row: RunRow | None) -> int:
    """Where somebody stands who comes back."""
    if row is None:
        return START
    if row.state != "done":
        return TRAIN
    return EXPORT if _export_state(studio) or _model(studio).is_file() else LOOK


def figures(studio: Studio, row: RunRow | None, headers: Mapping[str, str]) -> pd.DataFrame | None:
    """Test figures of the demo beside its baselines; None before there are any."""
    if row is None or row.state != "done":
        return None
    test = studio.run(DEMO).metrics()["test"]
    labels = list(test["model"])
    cells = {
        scorer: ["–" if one.get(label) is None else f"{one[label]:.4f}" for label in labels]
        for scorer, one in test.items()
    }
    return pd.DataFrame({said(headers, "home.column_metric"): labels, **cells})


def export_html(studio: Studio, row: RunRow | None, headers: Mapping[str, str]) -> str:
    """How the export fares, in a sentence."""
    state, model = _export_state(studio), _model(studio)
    if state in ACTIVE:
        text = said(headers, "home.export_running")
    elif model.is_file():
        size = f"{model.stat().st_size / 1024:,.0f} kB"
        text = said(headers, "home.export_done", file=model.relative_to(studio.folder), size=size)
    elif state in ("failed", "crashed"):
        text = said(headers, "home.export_failed", reason=_reason(studio))
    else:
        text = said(headers, "home.export_none" if row is not None and row.state == "done" else "home.export_waits")
    return f'<p style="overflow-wrap: anywhere">{escape(text)}</p>'


def _model(studio: Studio) -> Path:
    return studio.inside(f"runs/{DEMO}") / "export" / "model.onnx"


def _export(studio: Studio) -> Job | None:
    """The latest export of the latest demo."""
    job = studio.jobs.of(DEMO)
    return job if job and job.arguments[0] == "export" else None


def _export_state(studio: Studio) -> str:
    job = _export(studio)
    return job.state() if job else ""


def _reason(studio: Studio) -> str:
    job = _export(studio)
    lines = job.output(2_000).strip().splitlines() if job else []
    return lines[-1].removeprefix("Error: ") if lines else ""
