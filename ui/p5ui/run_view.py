"""How the state of a run is put into words and tables, in the language of the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from p5core.curves import Curves, thinned
from p5ui.run_list import SILENT_SECONDS, RunRow
from p5ui.saying import said

__all__ = ["POINTS", "duration", "figures_frame", "loss_frame", "state_html", "state_text", "table"]

POINTS = 2_000
"""Points of a plot at most."""

Headers = Mapping[str, str]


def table(rows: Sequence[RunRow], headers: Headers) -> pd.DataFrame:
    """One row a run."""
    columns = [said(headers, f"runs.column_{one}") for one in ("run", "state", "best")]
    cells = [
        (row.name, _short(row, headers), "–" if row.best is None else f"{row.best[0]} {row.best[1]:.4f}")
        for row in rows
    ]
    return pd.DataFrame(cells, columns=columns)


def _short(row: RunRow, headers: Headers) -> str:
    """State, share done and time left, as far as they say something."""
    found = [said(headers, f"runs.state_{row.state}")]
    if row.state != "done" and row.share > 0:
        found.append(f"{row.share:.0%}")
    if row.eta_seconds is not None and row.share < 1:
        found.append(said(headers, "runs.left", time=duration(row.eta_seconds)))
    return " · ".join(found)


def state_text(row: RunRow, headers: Headers) -> str:
    """How a run fares, in a line."""
    said_of_it = [said(headers, f"runs.state_{row.state}")]
    if row.state == "running":
        said_of_it.append(f"{row.share:.0%}")
        if row.share >= 1:
            said_of_it.append(said(headers, "runs.evaluating"))
        elif row.stage and row.eta_seconds is not None:
            said_of_it.append(said(headers, "runs.epoch", epoch=row.epoch, stage=row.stage))
            said_of_it.append(said(headers, "runs.left", time=duration(row.eta_seconds)))
        if row.silent_seconds > SILENT_SECONDS:
            said_of_it.append(said(headers, "runs.silent", time=duration(row.silent_seconds)))
    return " · ".join([*said_of_it, *([row.message] if row.message else [])])


def state_html(row: RunRow | None, headers: Headers) -> str:
    """How a run fares, with a bar."""
    if row is None:
        return f"<p>{escape(said(headers, 'runs.none'))}</p>"
    bar = (
        f'<div role="progressbar" aria-label="{escape(row.name)}" aria-valuenow="{row.share:.0%}" '
        'style="background: var(--border-color-primary); border-radius: 4px; overflow: hidden">'
        f'<div style="background: var(--color-accent); height: 8px; width: {row.share:.1%}"></div></div>'
    )
    return f'{bar}<p style="overflow-wrap: anywhere"><b>{escape(row.name)}</b>: {escape(state_text(row, headers))}</p>'


def loss_frame(curves: Curves) -> pd.DataFrame | None:
    """step, loss, events_per_second and stage, few enough to draw; None before there are any."""
    return _drawable(curves.losses)


def figures_frame(curves: Curves, metric: str | None) -> pd.DataFrame | None:
    """step, value and stage of one metric, few enough to draw; None before there are any."""
    return _drawable(curves.figures[curves.figures["metric"] == metric])


def _drawable(frame: pd.DataFrame) -> pd.DataFrame | None:
    """A plot that was drawn of an empty table would never show another one."""
    return None if frame.empty else thinned(frame, POINTS)


def duration(seconds: float) -> str:
    """Such as "1:05" or "2:00:07"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
