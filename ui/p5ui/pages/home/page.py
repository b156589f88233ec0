"""The first page: a walkthrough from nothing to an exported model, and where everything is."""

from __future__ import annotations

from typing import Any

import gradio as gr

from p5core.runs.curves import read_curves
from p5ui.i18n.words import t
from p5ui.pages.events import ASKED, QUICK, shown
from p5ui.pages.home.demo import EXPORT, LOOK, START, TRAIN, export_demo, export_html, figures, start_demo, step_of
from p5ui.pages.runs.run_list import ACTIVE, DEMO, RunRow, find_row, run_folder, stage_names
from p5ui.pages.runs.run_view import loss_frame, state_html
from p5ui.workspace.file_cache import stamp
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Home"
PATH = ""
Seen = tuple[int, RunRow | None, tuple[int, int]]


def build(workspace: Workspace) -> None:
    """Draw the page."""
    gr.Markdown(t("home.heading"))
    gr.Markdown(t("home.intro"))
    with gr.Walkthrough(selected=START, elem_id="home-steps") as steps:
        with gr.Step(t("home.step_start"), id=START):
            start = _start_step()
        with gr.Step(t("home.step_train"), id=TRAIN):
            state, loss, again = _train_step()
        with gr.Step(t("home.step_look"), id=LOOK):
            table, onward = _look_step()
        with gr.Step(t("home.step_export"), id=EXPORT):
            export, exported, download = _export_step()
    gr.Markdown(t("home.pages"), elem_id="home-pages")
    seen, timer = gr.State((0, None, (-1, 0))), gr.Timer(2)

    events = _Events(workspace)
    live = [steps, state, loss, again, table, export, exported, download, seen]
    gr.on(None, events.refresh, seen, live, **QUICK)
    timer.tick(events.refresh, seen, live, **QUICK)
    gr.on([start.click, again.click], events.start, None, None, **ASKED).success(
        lambda: gr.Walkthrough(selected=TRAIN), None, steps, **QUICK
    ).then(events.refresh, seen, live, **QUICK)
    onward.click(lambda: gr.Walkthrough(selected=EXPORT), None, steps, **QUICK)
    export.click(events.export, None, None, **ASKED).success(events.refresh, seen, live, **QUICK)


def _start_step() -> gr.Button:
    gr.Markdown(t("home.start_text"))
    with gr.Row():
        start = gr.Button(t("home.start"), variant="primary", elem_id="home-start")
        gr.Button(t("home.own"), link="data", elem_id="home-own")
    return start


def _train_step() -> tuple[gr.HTML, gr.LinePlot, gr.Button]:
    gr.Markdown(t("home.train_text"))
    state = gr.HTML(elem_id="home-state")
    loss = gr.LinePlot(
        x="step", y="loss", color="stage", label=t("home.loss"), x_title=" ", y_title=" ", height=260,
        colors_in_legend=[], tooltip="all",
        elem_id="home-loss",
    )  # fmt: skip
    with gr.Row():
        gr.Button(t("home.details"), link=f"runs?run={DEMO}")
        again = gr.Button(t("home.again"), interactive=False, elem_id="home-again")
    return state, loss, again


def _look_step() -> tuple[gr.Dataframe, gr.Button]:
    gr.Markdown(t("home.look_text"))
    table = gr.Dataframe(label=t("home.figures"), interactive=False, wrap=True, elem_id="home-figures")
    with gr.Row():
        gr.Button(t("home.recommend"), link=f"recommend?run={DEMO}", elem_id="home-recommend")
        onward = gr.Button(t("home.next"), variant="primary", elem_id="home-next")
    return table, onward


def _export_step() -> tuple[gr.Button, gr.HTML, gr.Button]:
    gr.Markdown(t("home.export_text"))
    exported = gr.HTML(elem_id="home-exported")
    with gr.Row():
        export = gr.Button(t("home.export"), variant="primary", interactive=False, elem_id="home-export")
        download = gr.Button(t("home.download"), link=f"export?run={DEMO}", interactive=False, elem_id="home-download")
    return export, exported, download


class _Events:
    """Event handlers of the page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.refresh, self.start, self.export = shown(self._refresh), shown(self._start), shown(self._export)

    def _start(self) -> None:
        start_demo(self._workspace)

    def _export(self) -> None:
        export_demo(self._workspace)

    def _refresh(self, seen: Seen, request: gr.Request) -> tuple[Any, ...]:
        row = find_row(self._workspace, DEMO)
        step, is_done = step_of(self._workspace, row), row is not None and row.state == "done"
        folder = run_folder(self._workspace, DEMO)
        events, stages = folder / "events.jsonl", stage_names(self._workspace, folder)
        exported = export_html(self._workspace, row, request.headers)
        now: Seen = (step, row, stamp(events))
        curves = self._workspace.file_cache.read(read_curves, events)
        return (
            gr.skip() if step == seen[0] else gr.Walkthrough(selected=step),
            state_html(row, request.headers) if row else "",
            gr.skip() if now[2] == seen[2] else loss_frame(curves, stages),
            gr.Button(interactive=row is not None and row.state not in ACTIVE),
            gr.skip() if row == seen[1] else figures(self._workspace, row, request.headers),
            gr.Button(interactive=is_done),
            exported,
            gr.Button(interactive=is_done and (events.parent / "export" / "model.onnx").is_file()),
            now,
        )
