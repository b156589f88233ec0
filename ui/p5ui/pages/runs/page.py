"""The page Runs: all runs, their progress, and actions on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from html import escape
from typing import Any, NamedTuple

import gradio as gr
from gradio.events import api

from p5core.runs.curves import LearningCurves, read_curves
from p5ui.i18n.messages import said
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address, missing_in_address, run_in_address
from p5ui.pages.confirmation import Confirmation
from p5ui.pages.events import ASKED, QUICK, answered, shown
from p5ui.pages.runs.run_list import ACTIVE, RunRow, run_folder, run_rows, stage_names, tail
from p5ui.pages.runs.run_view import figures_frame, loss_frame, missing_html, stage_legend, state_html, table
from p5ui.workspace.file_cache import stamp
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Runs"
PATH = "runs"
OPEN_TRAIN = "(name) => { if (name) window.location.assign('train?run=' + encodeURIComponent(name)); }"
ACTIONS = ("stop", "kill", "resume", "clone", "delete")


class _Seen(NamedTuple):
    """Content already shown by a browser, so that only changes are sent."""

    rows: tuple[RunRow, ...] = ()
    choice: str | None = None
    name: str = ""
    events: tuple[int, int] = (-1, 0)
    metrics: tuple[str, ...] = ()
    texts: tuple[tuple[int, int], ...] = ()


def build(workspace: Workspace) -> None:
    """Draw the page."""
    gr.Markdown(t("runs.heading"))
    gr.Markdown(t("runs.intro"))
    rows = gr.Dataframe(
        label=t("runs.all"), interactive=False, wrap=True, max_height=320, column_widths=["28%", "42%", "30%"],
        elem_id="runs-table",
    )  # fmt: skip
    # Answers may overtake each other, so a run may be chosen that the server has not listed yet; the events look it up.
    choice = gr.Dropdown([], label=t("runs.choice"), allow_custom_value=True, elem_id="runs-choice")
    state = gr.HTML(elem_id="runs-state")
    with gr.Row():
        buttons = {action: _button(action) for action in ACTIONS}
    confirmation = Confirmation("runs")
    stages = gr.HTML(elem_id="runs-stages")
    loss, metric, figures, speed = _plots()
    log, output = _texts()
    seen, timer = gr.State(_Seen()), gr.Timer(2)

    events = _Events(workspace)
    follow_in_address(choice)
    details = [state, *buttons.values(), stages, loss, metric, figures, speed, log, output, seen]
    live = [rows, choice, *details]
    gr.on(None, events.start, seen, live, **QUICK)
    timer.tick(events.refresh, [choice, metric, seen], live, **QUICK)
    choice.input(events.refresh, [choice, metric, seen], live, **ASKED)
    rows.select(events.pick, None, choice, **QUICK).then(events.refresh, [choice, metric, seen], live, **QUICK)
    metric.input(events.draw, [choice, metric], figures, **ASKED)
    for name in ("stop", "kill", "resume"):
        buttons[name].click(events.act(name), choice, None, **ASKED).success(
            events.refresh, [choice, metric, seen], live, **QUICK
        )
    buttons["clone"].click(None, choice, None, js=OPEN_TRAIN, **QUICK)
    deleted = confirmation.before(buttons["delete"], choice, events.act("delete"))
    deleted.success(events.show_first, seen, live, **QUICK)
    _endpoints(workspace)


def _button(action: str) -> gr.Button:
    return gr.Button(t(f"runs.{action}"), interactive=False, size="md", min_width=120, elem_id=f"runs-{action}")


def _plots() -> tuple[gr.LinePlot, gr.Dropdown, gr.LinePlot, gr.LinePlot]:
    common: dict[str, Any] = {"x": "step", "color": "stage", "x_title": " ", "y_title": " ", "height": 260}
    common |= {"colors_in_legend": [], "tooltip": "all"}
    with gr.Row(equal_height=True):
        with gr.Column(min_width=320):
            loss = gr.LinePlot(y="loss", label=t("runs.loss"), elem_id="runs-loss", **common)
            speed = gr.LinePlot(y="events_per_second", label=t("runs.speed"), elem_id="runs-speed", **common)
        with gr.Column(min_width=320):
            figures = gr.LinePlot(y="value", label=t("runs.figures"), elem_id="runs-figures", **common)
            metric = gr.Dropdown([], label=t("runs.metric"), elem_id="runs-metric")
    return loss, metric, figures, speed


def _texts() -> tuple[gr.Textbox, gr.Textbox]:
    with gr.Tab(t("runs.log")):
        log = gr.Textbox(label=t("runs.log"), lines=10, max_lines=10, interactive=False, elem_id="runs-log")
    with gr.Tab(t("runs.output")):
        output = gr.Textbox(label=t("runs.output"), lines=10, max_lines=10, interactive=False, elem_id="runs-output")
    return log, output


def _endpoints(workspace: Workspace) -> None:
    """The API endpoints for scripts."""

    def runs() -> list[dict[str, Any]]:
        """List all runs with state, share done, seconds left and best figure."""
        return [asdict(row) for row in run_rows(workspace)]

    def stop_run(run: str) -> str:
        """Let a run save and stop, or take it out of the queue."""
        workspace.jobs.stop(run)
        return run

    def resume_run(run: str) -> str:
        """Go on with a run that was stopped, killed or has failed."""
        workspace.jobs.resume(run)
        return run

    for function in (runs, stop_run, resume_run):
        api(answered(function), api_name=function.__name__, queue=False)


class _Events:
    """Event handlers of the page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.start, self.refresh = shown(self._start), shown(self._refresh)
        self.draw, self.show_first = shown(self._draw), shown(self._show_first)

    def _start(self, seen: _Seen, request: gr.Request) -> tuple[Any, ...]:
        """Show the run that the address names."""
        names = [row.name for row in run_rows(self._workspace)]
        name = missing_in_address(request, names) or run_in_address(request, names)
        return self._refresh(name, None, seen, request)

    def _show_first(self, seen: _Seen, request: gr.Request) -> tuple[Any, ...]:
        """Show the run at the head of the list, when the one that was shown is deleted."""
        return self._refresh(next((row.name for row in run_rows(self._workspace)), None), None, seen, request)

    def pick(self, event: gr.SelectData) -> str:
        """Choose the run of a row."""
        return str(event.row_value[0])

    def act(self, name: str) -> Callable[[str, gr.Request], None]:
        """Apply the action of a button to a run."""

        def act(run: str, request: gr.Request) -> None:
            getattr(self._workspace.jobs, name)(run)
            gr.Info(said(request.headers, f"runs.said_{name}", name=escape(run)))

        return shown(act)

    def _refresh(self, name: str | None, metric: str | None, seen: _Seen, request: gr.Request) -> tuple[Any, ...]:
        rows = tuple(run_rows(self._workspace))
        row = next((run for run in rows if run.name == name), None)
        names = [run.name for run in rows]
        choice = gr.Dropdown(names, value=name)
        is_same = [run.name for run in seen.rows] == names and name == seen.choice
        details, now = self._details(row, metric, seen, request)
        return (
            gr.skip() if seen.rows == rows else table(rows, request.headers),
            gr.skip() if is_same else choice,
            missing_html(name, request.headers) if name and row is None else state_html(row, request.headers),
            *self._usable(row),
            *details,
            now._replace(rows=rows, choice=name),
        )

    def _details(
        self, row: RunRow | None, metric: str | None, seen: _Seen, request: gr.Request
    ) -> tuple[tuple[Any, ...], _Seen]:
        """Plots and texts of a run, those that have changed."""
        if row is None:
            nothing = LearningCurves.empty()
            loss, figures = loss_frame(nothing, []), figures_frame(nothing, None, [])
            return ("", loss, gr.Dropdown([], value=None), figures, loss, "", ""), _Seen()
        folder, job = run_folder(self._workspace, row.name), self._workspace.jobs.of(row.name)
        paths = [folder / "log.txt", *([job.path / "output.txt"] if job else [])]
        now = _Seen((), None, row.name, stamp(folder / "events.jsonl"), seen.metrics, tuple(map(stamp, paths)))
        old = seen if seen.name == row.name else _Seen()
        plots: tuple[Any, ...] = (gr.skip(),) * 5
        if now.events != old.events:
            curves = self._workspace.file_cache.read(read_curves, folder / "events.jsonl")
            metrics = tuple(dict.fromkeys(curves.figures["metric"]))
            label = metric if metric in metrics else row.best[0] if row.best else next(iter(metrics), None)
            chosen = gr.skip() if metrics == old.metrics else gr.Dropdown(list(metrics), value=label)
            now = now._replace(metrics=metrics)
            stages = stage_names(self._workspace, folder)
            loss = loss_frame(curves, stages)
            plots = stage_legend(curves, stages), loss, chosen, figures_frame(curves, label, stages), loss
        texts = tuple(map(tail, paths)) if now.texts != old.texts else (gr.skip(),) * 2
        return (*plots, *(*texts, "")[:2]), now

    def _draw(self, name: str, metric: str) -> Any:
        folder = run_folder(self._workspace, name)
        curves = self._workspace.file_cache.read(read_curves, folder / "events.jsonl")
        return figures_frame(curves, metric, stage_names(self._workspace, folder))

    def _usable(self, row: RunRow | None) -> list[Any]:
        """The buttons, those pale that make no sense in the state of a run; in the order of ACTIONS."""
        state = row.state if row else ""
        has_folder = row is not None and self._workspace.jobs.find(row.name) is not None
        usable = {
            "stop": state in ACTIVE,
            "kill": state in ("starting", "running"),
            "resume": has_folder and state in ("stopped", "failed", "crashed"),
            "clone": has_folder,
            "delete": bool(state) and state not in ACTIVE,
        }
        return [gr.Button(interactive=usable[action]) for action in ACTIONS]
