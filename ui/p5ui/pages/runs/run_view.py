"""The state of a run as text and tables, in the language of the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle

import pandas as pd

from p5core.runs.curves import LearningCurves, thinned
from p5core.runs.documents import SILENT_SECONDS
from p5core.system.text import clock
from p5ui.i18n.messages import said
from p5ui.pages.compare.frames import legend
from p5ui.pages.runs.run_list import RunRow

__all__ = [
    "POINTS",
    "figures_frame",
    "loss_frame",
    "missing_html",
    "stage_legend",
    "state_html",
    "state_text",
    "table",
]

POINTS = 2_000
"""Points of a plot at most."""

COLOURS = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac")
"""Default colours of plots, in order; a live plot that is given colours does not show new data."""

NUMBERS = [str(place) for place in range(1, len(COLOURS) + 1)]
"""Labels of the stages in plots; the legend has their names."""

Headers = Mapping[str, str]


def table(rows: Sequence[RunRow], headers: Headers) -> pd.DataFrame:
    """One row a run."""
    columns = [said(headers, f"runs.column_{column}") for column in ("run", "state", "best")]
    cells = [
        (row.name, _short(row, headers), "–" if row.best is None else f"{row.best[0]} {row.best[1]:.4f}")
        for row in rows
    ]
    return pd.DataFrame(cells, columns=columns)


def _short(row: RunRow, headers: Headers) -> str:
    """State, share done and time left, as far as they say something."""
    pieces = [said(headers, f"runs.state_{row.state}")]
    if row.state != "done" and row.share > 0:
        pieces.append(f"{row.share:.0%}")
    if row.eta_seconds is not None and row.share < 1:
        pieces.append(said(headers, "runs.left", time=clock(row.eta_seconds)))
    return " · ".join(pieces)


def state_text(row: RunRow, headers: Headers) -> str:
    """The state of a run in one line."""
    said_of_it = [said(headers, f"runs.state_{row.state}")]
    if row.state == "running":
        said_of_it.append(f"{row.share:.0%}")
        if row.share >= 1:
            said_of_it.append(said(headers, "runs.evaluating"))
        elif row.stage and row.eta_seconds is not None:
            said_of_it.append(said(headers, "runs.epoch", epoch=row.epoch, stage=row.stage))
            said_of_it.append(said(headers, "runs.left", time=clock(row.eta_seconds)))
        if row.silent_seconds > SILENT_SECONDS:
            said_of_it.append(said(headers, "runs.silent", time=clock(row.silent_seconds)))
    return " · ".join([*said_of_it, *([row.message] if row.message else [])])


def state_html(row: RunRow | None, headers: Headers) -> str:
    """The state of a run with a progress bar."""
    if row is None:
        return f"<p>{escape(said(headers, 'runs.none'))}</p>"
    bar = (
        f'<div role="progressbar" aria-label="{escape(row.name)}" aria-valuenow="{100 * row.share:.0f}" '
        'style="background: var(--border-color-primary); border-radius: 4px; overflow: hidden">'
        f'<div style="background: var(--color-accent); height: 8px; width: {row.share:.1%}"></div></div>'
    )
    return f'{bar}<p style="overflow-wrap: anywhere"><b>{escape(row.name)}</b>: {escape(state_text(row, headers))}</p>'


def missing_html(name: str, headers: Headers) -> str:
    """The sentence for a run that does not exist."""
    return f"<p>{escape(said(headers, 'runs.missing', name=name))}</p>"


def loss_frame(curves: LearningCurves, stages: Sequence[str]) -> pd.DataFrame:
    """step, loss, events_per_second and stage, few enough to draw."""
    return _drawable(curves.losses, stages)


def figures_frame(curves: LearningCurves, metric: str | None, stages: Sequence[str]) -> pd.DataFrame:
    """step, value and stage of one metric, few enough to draw."""
    return _drawable(curves.figures[curves.figures["metric"] == metric], stages)


def _drawable(frame: pd.DataFrame, stages: Sequence[str]) -> pd.DataFrame:
    """At most POINTS rows with the number of their stage, behind one without values for each number there may be.

    A plot keeps the colours of its first table, whichever run it shows: what is not in it then is never drawn.
    """
    first = pd.DataFrame({"stage": NUMBERS}).reindex(columns=frame.columns).assign(step=0)
    numbers = {name: NUMBERS[place % len(NUMBERS)] for place, name in enumerate(_names(frame, stages))}
    drawn = thinned(frame, POINTS) if len(frame) else frame
    kinds = {name: kind for name, kind in frame.dtypes.items() if kind.kind == "f"}
    return pd.concat([first.astype(kinds), drawn.assign(stage=drawn["stage"].map(numbers))], ignore_index=True)


def _names(frame: pd.DataFrame, stages: Sequence[str]) -> list[str]:
    """The stages of a run in their order; those that its experiment does not name come last."""
    return list(dict.fromkeys([*stages, *frame["stage"].unique()]))


def stage_legend(curves: LearningCurves, stages: Sequence[str]) -> str:
    """The colours that the plots give the stages."""
    return legend(dict(zip(_names(curves.losses, stages), cycle(COLOURS), strict=False)))
