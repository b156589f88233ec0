"""The page Compare: figures beside baselines, paired tests, and for whom a model works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
import pandas as pd
from gradio.events import api

from p5core.workflows.compare import Compared
from p5ui.i18n.messages import plain, said, said_in_markdown
from p5ui.i18n.translations import translated
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address
from p5ui.pages.compare.frames import (
    Curves,
    curves,
    figures_frame,
    find_control,
    finished_runs,
    legend,
    paired,
    palette,
    protocols,
    sides_of,
)
from p5ui.pages.events import ASKED, QUICK, answered, shown
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Compare"
PATH = "compare"

SLOW: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}


def build(workspace: Workspace) -> None:
    """Draw the page."""
    gr.Markdown(t("compare.heading"))
    gr.Markdown(t("compare.intro"))
    names = gr.Dropdown(
        [], multiselect=True, label=t("compare.runs"), info=t("compare.runs_help"), elem_id="compare-runs"
    )
    control = gr.Button(t("compare.control"), size="md", elem_id="compare-control")
    note = gr.Markdown(elem_id="compare-note")
    figures = gr.Dataframe(label=t("compare.figures"), interactive=False, elem_id="compare-figures")
    gr.Markdown(t("compare.tests"))
    reference = gr.Dropdown(
        [], label=t("compare.reference"), info=t("compare.reference_help"), elem_id="compare-reference"
    )
    tests = gr.Dataframe(label=t("compare.paired"), interactive=False, elem_id="compare-tests")
    refusals = gr.Markdown()
    gr.Markdown(t("compare.curves"))
    metric = gr.Dropdown([], label=t("compare.metric"), elem_id="compare-metric")
    colours = gr.HTML(elem_id="compare-legend")
    with gr.Row():
        lines = [_lines(name) for name in ("history", "popularity")]
    bars = gr.BarPlot(
        x="bar", y="value", color="side", label=t("compare.by_warmth"), height=300, x_label_angle=-35,
        colors_in_legend=[], elem_id="compare-warmth",
    )  # fmt: skip
    with gr.Accordion(t("compare.table"), open=False):
        table = gr.Dataframe(label=t("compare.table"), interactive=False, elem_id="compare-segments")

    drawings = [colours, *lines, bars, table]
    events = _Events(workspace)
    gr.on(None, events.start, None, [names, note], **QUICK)
    follow_in_address(names)
    names.change(events.show, names, [note, figures, reference, metric], **ASKED).then(
        events.test, [names, reference], [tests, refusals], **SLOW
    ).then(events.draw, [names, metric], drawings, **SLOW)
    reference.input(events.test, [names, reference], [tests, refusals], **SLOW)
    metric.input(events.draw, [names, metric], drawings, **SLOW)
    control.click(events.add_control, names, names, **SLOW)
    api(events.figures, api_name="figures", queue=False)


def _lines(name: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="group", y="value", color="side", label=t(f"compare.by_{name}"), height=300, min_width=320, tooltip="all",
        x_label_angle=-35, colors_in_legend=[], elem_id=f"compare-{name}",
    )  # fmt: skip


class _Events:
    """Event handlers of the page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.show, self.test, self.draw = shown(self._show), shown(self._test), shown(self._draw)
        self.add_control, self.figures = shown(self._add_control), answered(self._endpoint())

    def start(self, request: gr.Request) -> tuple[Any, str]:
        """Choose the runs that the address names."""
        runs = finished_runs(self._workspace)
        asked = [name for name in str(request.query_params.get("run", "")).split(",") if name]
        missing = [name for name in asked if name not in runs]
        note = "" if runs else said(request.headers, "compare.none")
        if missing:
            note = said_in_markdown(request.headers, "recommend.missing", name=", ".join(missing))
        return gr.Dropdown(runs, value=[name for name in asked if name in runs] if asked else runs[:1]), note

    def _endpoint(self) -> Callable[[str], dict[str, Any]]:
        workspace = self._workspace

        def figures(run: str) -> dict[str, Any]:
            """All figures of a finished run and of its baselines, with their intervals."""
            return workspace.run(run).metrics().model_dump(mode="json")

        return figures

    def _show(self, names: list[str], request: gr.Request) -> tuple[Any, ...]:
        if not names:  # the note may say why
            return gr.skip(), pd.DataFrame(), gr.Dropdown([], value=None), gr.Dropdown([], value=None)
        sides = sides_of(self._workspace, names)
        notes = protocols(self._workspace, names)
        told = [translated(request.headers, note) for note in notes]
        text = "\n\n".join(said_in_markdown(request.headers, "compare.protocol", note=note) for note in told)
        if len(notes) > 1:
            text += "\n\n" + said(request.headers, "compare.protocols_differ")
        labels = list(self._workspace.run(names[0]).metrics().intervals["test"]["model"]) if names else []
        references = [name for name in sides if name != names[-1]] if len(names) == 1 else list(sides)
        first = next(iter(references), None)
        return (
            text,
            figures_frame(sides).rename(columns={"run": said(request.headers, "compare.column_run")}),
            gr.Dropdown(references, value=first),
            gr.Dropdown(labels, value=_main(labels)),
        )

    def _test(self, names: list[str], reference: str | None, request: gr.Request) -> tuple[pd.DataFrame, str]:
        sides = sides_of(self._workspace, names)
        if reference not in sides:
            return pd.DataFrame(), ""
        result = paired(self._workspace, sides, reference)
        words = [
            said(request.headers, f"compare.column_{column}") for column in ("run", "metric", "difference", "interval")
        ]
        columns = [*words[:2], words[2], words[3], "p", said(request.headers, "compare.column_verdict")]
        rows = [
            [side.name, row.label, f"{row.result.difference:+.4f}", _interval(row.result.low, row.result.high, "+.4f"),
             f"{row.result.p_value:.4f}", said(request.headers, f"compare.{_verdict(row)}")]
            for side, row in result.rows
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns), "\n\n".join(map(plain, result.refusals))

    def _draw(self, names: list[str], label: str | None, request: gr.Request) -> tuple[Any, ...]:
        if not names or not label:
            return ("", None, None, None, pd.DataFrame())
        sides = {
            name: (run, scorer)
            for name, (run, scorer) in sides_of(self._workspace, names).items()
            if scorer == "model" or name.startswith(f"{names[0]}: ")
        }
        drawn = _in_words(curves(self._workspace, sides, label), request.headers)
        bars = drawn.warmth.assign(bar=drawn.warmth["side"] + " · " + drawn.warmth["group"])
        colours = palette(list(sides))
        return (
            legend(colours),
            *(
                gr.LinePlot(
                    frame, color_map=colours, x_title=" ", y_title=label, sort=_order(frame), y_lim=_limits(frame)
                )
                for frame in (drawn.history, drawn.popularity)
            ),
            gr.BarPlot(
                bars, color_map=colours, x_title=" ", y_title=label, sort=bars["bar"].tolist(), y_lim=_limits(bars)
            ),
            _table(drawn, request.headers),
        )

    def _add_control(self, names: list[str], request: gr.Request) -> Any:
        control = find_control(self._workspace, names)
        if control is None:
            gr.Info(said(request.headers, "compare.control_plain"))
            return gr.skip()
        if control.name is None:
            gr.Warning(said(request.headers, "compare.control_missing", file=control.experiment), duration=None)
            return gr.skip()
        text = said(request.headers, "compare.control_found", names=control.name)
        gr.Info(text if control.has_model else f"{text} {said(request.headers, 'compare.control_other_model')}")
        return [*names, *([] if control.name in names else [control.name])]


def _main(labels: Sequence[str]) -> str | None:
    """NDCG where there is one: what most papers report."""
    return next((label for label in labels if label.startswith("ndcg")), next(iter(labels), None))


def _in_words(curves: Curves, headers: Mapping[str, str]) -> Curves:
    """The same, with warm and cold as people call them."""
    names = {group: said(headers, f"compare.{group}") for group in ("warm", "cold")}
    return replace(curves, warmth=curves.warmth.assign(group=curves.warmth["group"].map(names)))


def _verdict(compared: Compared) -> str:
    if compared.result.p_value >= 0.05:
        return "unclear"
    return "better" if (compared.result.difference > 0) == compared.higher_is_better else "worse"


def _interval(low: float, high: float, form: str) -> str:
    return f"{low:{form}} – {high:{form}}"


def _order(frame: pd.DataFrame) -> list[str]:
    """Groups along the axis: by the mean of what they were made by."""
    return list(dict.fromkeys(frame.sort_values("place")["group"]))


def _limits(frame: pd.DataFrame) -> list[float | None]:
    """From zero to a little above the largest value, so that a line is not drawn on the frame."""
    top = frame["value"].max()
    return [min(0.0, float(frame["value"].min())), float(top) * 1.05 if top > 0 else None]


def _table(curves: Curves, headers: Mapping[str, str]) -> pd.DataFrame:
    """All groups in one table."""
    kinds = {"history": curves.history, "popularity": curves.popularity, "warmth": curves.warmth}
    words = [
        said(headers, f"compare.column_{column}") for column in ("trait", "group", "run", "users", "value", "interval")
    ]
    rows = [
        [
            said(headers, f"compare.short_{kind}"),
            *(record["group"], record["side"], record["users"], f"{record['value']:.4f}"),
            _interval(record["low"], record["high"], ".4f"),
        ]
        for kind, frame in kinds.items()
        for record in frame.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=words)
