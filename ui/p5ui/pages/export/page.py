"""The page Export: one file for any program, the proof that it is right, and how to call it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.components.base import Component
from gradio.events import api
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from p5core.data.storage import read_dataset
from p5core.runs.job import ACTIVE, Job
from p5ui.i18n.messages import said, said_in_markdown
from p5ui.i18n.translations import told
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address, missing_in_address, run_in_address
from p5ui.pages.compare.frames import finished_runs
from p5ui.pages.events import ASKED, QUICK, answered, shown
from p5ui.pages.export.actions import (
    Option,
    ask_export,
    bundle_of,
    columns_of,
    command_line,
    export_facts,
    export_options,
    latest_export_job,
    measure_latency,
    parity_frame,
    questions,
    size_frame,
    verified,
    zip_of,
)
from p5ui.server.viewer import Viewer
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Export"
PATH = "export"

LANGUAGES = ("Python", "Node", "Browser")


def build(workspace: Workspace) -> None:
    """Draw the page."""
    options = export_options()
    events = _Events(workspace, options)
    gr.Markdown(t("export.heading"))
    gr.Markdown(t("export.intro"))
    run = gr.Dropdown([], label=t("export.run"), elem_id="export-run")
    with gr.Accordion(t("export.options"), open=False), gr.Row():
        fields = [_field(option) for option in options]
    start = gr.Button(t("export.start"), variant="primary", interactive=False, elem_id="export-start")
    gr.Markdown(t("export.replaces"))
    state = gr.Markdown(elem_id="export-state")
    log = gr.Textbox(
        label=t("export.log"), lines=4, max_lines=12, interactive=False, visible=False, elem_id="export-log"
    )
    gr.Markdown(t("export.bundle"))
    note = gr.Markdown(elem_id="export-note")
    result = _Result()
    gr.Markdown(t("export.check"))
    upload = gr.File(label=t("export.upload"), type="filepath", height=140, elem_id="export-upload")
    verdict = gr.Markdown(elem_id="export-verdict")

    column = fields[[option.name for option in options].index("columns")]
    timer = gr.Timer(1.0, active=False)
    progress = [state, log, timer]
    bundle = [note, *result.components]
    follow_in_address(run)
    gr.on(None, events.begin, None, [run, note], **QUICK)
    run.change(events.look, run, [start, column, *progress], **ASKED).then(events.show, run, bundle, **ASKED)
    start.click(events.start, [run, *fields], progress, **ASKED)
    timer.tick(events.watch, run, progress, **QUICK)
    state.change(events.show, run, bundle, **ASKED)
    result.measure.click(events.measure, run, result.latency, api_visibility="private")
    result.graph.click(events.graph, run, result.seen, api_visibility="private")
    upload.upload(events.verify, upload, verdict, api_visibility="private")
    _endpoints(workspace)


class _Result:
    """The finished export: download, proof, calls, latency and graph."""

    def __init__(self) -> None:
        with gr.Column(visible=False) as whole:
            self._draw()
        self.components = [whole, self.download, self.parity, self.files, *self.snippets, self.latency]

    def _draw(self) -> None:
        self.download = gr.DownloadButton(str(t("export.download")), elem_id="export-download")
        with gr.Row():
            self.parity = gr.Dataframe(
                label=t("export.parity"), interactive=False, elem_id="export-parity", min_width=300
            )
            self.files = gr.Dataframe(label=t("export.files"), interactive=False, elem_id="export-files")
        gr.Markdown(t("export.snippets"))
        self.snippets: list[gr.Markdown] = []
        for language in LANGUAGES:
            with gr.Tab(t("export.browser") if language == "Browser" else language):
                self.snippets.append(gr.Markdown(elem_id=f"export-{language.lower()}"))
        gr.Markdown(t("export.latency_heading"))
        with gr.Row():
            self.measure = gr.Button(t("export.measure"), elem_id="export-measure")
            self.graph = gr.Button(
                t("export.graph"), interactive=find_spec("netron") is not None, elem_id="export-graph"
            )
        self.latency = gr.Markdown(elem_id="export-latency")
        self.seen = gr.Markdown("" if find_spec("netron") else t("export.graph_missing"), elem_id="export-seen")


def _endpoints(workspace: Workspace) -> None:
    """The API endpoints for scripts."""

    def export_run(run: str, columns: list[str]) -> str:
        """Queue the export of a finished run; what it recommends then comes with these columns of the items."""
        return ask_export(workspace, run, columns)

    def exported(run: str) -> dict[str, Any]:
        """State of the export of a run and, once finished, its folder, files and verification."""
        return export_facts(workspace, run)

    for function in (export_run, exported):
        api(answered(function), api_name=function.__name__, queue=False)


def _field(option: Option) -> Component:
    """The component of an option; name and help are those of the command line."""
    place = f"export-{option.name}"
    if option.kind == "file":
        return gr.File(label=f"{option.flag}: {told(option.help)}", elem_id=place, type="filepath", height=150)
    labelled: dict[str, Any] = {"label": option.flag, "info": told(option.help), "elem_id": place}
    if option.kind == "flag":
        return gr.Checkbox(option.name == "is_zipped", min_width=280, **labelled)
    if option.kind == "choice":
        return gr.Dropdown(list(option.choices), value=option.default, min_width=280, **labelled)
    if option.kind == "texts":
        return gr.Dropdown([], multiselect=True, min_width=280, **labelled)
    return gr.Number(0, precision=0, minimum=0, min_width=280, **labelled)


class _Events:
    """Event handlers of the page."""

    def __init__(self, workspace: Workspace, options: Sequence[Option]) -> None:
        self._workspace, self._options, self._viewer = workspace, options, Viewer()
        self._packing = threading.Lock()
        self.look, self.start, self.show = shown(self._look), shown(self._start), shown(self._show)
        self.watch, self.measure, self.graph = shown(self._watch), shown(self._measure), shown(self._graph)
        self.verify = shown(self._verify)

    def begin(self, request: gr.Request) -> tuple[Any, str]:
        """Choose the run that the address names."""
        runs = finished_runs(self._workspace)
        note = "" if runs else said(request.headers, "export.none")
        if missing := missing_in_address(request, runs):
            note = said_in_markdown(request.headers, "recommend.missing", name=missing)
        return gr.Dropdown(runs, value=run_in_address(request, runs)), note

    def _look(self, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Columns to choose from, and the export that may be under way; only then another may be asked for."""
        if not name:
            return gr.Button(interactive=False), gr.skip(), "", gr.skip(), gr.Timer(active=False)
        columns = columns_of(self._workspace.run(name))
        chosen = [column for column in columns if column == "title"]
        job = latest_export_job(self._workspace, name)
        return gr.Button(interactive=True), gr.Dropdown(columns, value=chosen), *_progress(job, request.headers)

    def _start(self, request: gr.Request, name: str | None, *values: Any) -> tuple[Any, ...]:
        if not name:
            gr.Warning(said(request.headers, "export.none"))
            return gr.skip(), gr.skip(), gr.skip()
        line = command_line(self._workspace.run(name), self._options, values)
        return _progress(self._workspace.jobs.submit_command(line, name), request.headers)

    def _watch(self, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        self._workspace.jobs.advance()
        return _progress(latest_export_job(self._workspace, name) if name else None, request.headers)

    def _show(self, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        """The available results of a run's export."""
        job = latest_export_job(self._workspace, name) if name else None
        is_busy = job is not None and job.state() in ACTIVE  # its files may change while they are read
        bundle = bundle_of(self._workspace.run(name)) if name and not is_busy else None
        if bundle is None:
            note = (
                said_in_markdown(request.headers, "export.busy" if is_busy else "export.nothing", name=name)
                if name
                else gr.skip()
            )
            return note, gr.Column(visible=False), *[gr.skip()] * (3 + len(LANGUAGES)), ""
        from p5export.bundle.model_card import calls

        manifest = bundle.manifest
        with self._packing:
            path = save_file_to_cache(zip_of(bundle), get_upload_folder())
        texts = calls(manifest)
        return (
            _proof(manifest, request.headers), gr.Column(visible=True), gr.DownloadButton(value=path),
            *(_titled(frame, request.headers) for frame in (parity_frame(manifest), size_frame(bundle))),
            *(texts[language] for language in LANGUAGES), "",
        )  # fmt: skip

    def _measure(self, name: str, request: gr.Request) -> str:
        from p5export.runtime import OnnxRecommender

        run = self._workspace.run(name)
        model = OnnxRecommender(run.path / "export", threads=1)
        whos = questions(model, read_dataset(run.data / "target"))
        latencies = measure_latency(model, whos)
        times = {"p50": f"{latencies.p50:.2f}", "p95": f"{latencies.p95:.2f}"}
        return said(request.headers, "export.latency", n=latencies.n, users=len(whos), **times)

    def _graph(self, name: str, request: gr.Request) -> str:
        address = self._viewer.show(self._workspace.run(name).path / "export" / "model.onnx")
        return said(request.headers, "export.graph_at", address=address)

    def _verify(self, path: str, request: gr.Request) -> str:
        if Path(path).suffix.lower() != ".zip":
            return said_in_markdown(request.headers, "export.no_zip", name=Path(path).name)
        is_good, text = verified(self._workspace, Path(path))
        return said_in_markdown(request.headers, "export.good" if is_good else "export.bad", text=text)


def _progress(job: Job | None, headers: Mapping[str, str]) -> tuple[Any, ...]:
    """State, log and clock of an export."""
    if job is None:
        return "", gr.Textbox("", visible=False), gr.Timer(active=False)
    state = job.state()
    log = gr.Textbox(job.output(), visible=True)
    return said(headers, f"export.state_{state}"), log, gr.Timer(active=state in ACTIVE)


def _proof(manifest: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The comparison with the network in a sentence or two."""
    parity, cost = manifest["parity"], manifest["quantized"]
    worst = f"{parity['largest_difference']:.1e}"
    text = said(headers, "export.equal", cases=parity["cases"], worst=worst, users=f"{parity['users_measured']:,}")
    if cost is None:
        return text
    sizes = {"size": f"{cost['bytes'] / 1e6:.2f}", "plain": f"{cost['plain_bytes'] / 1e6:.2f}"}
    figures = {"overlap": f"{cost['overlap_at_10']:.3f}", "ndcg": f"{cost['ndcg_at_10']:.4f}"}
    plain = f"{cost['plain_ndcg_at_10']:.4f}"
    return f"{text}\n\n" + said(
        headers, "export.quantised", kind=cost["quantize"], plain_ndcg=plain, **sizes, **figures
    )


def _titled(frame: pd.DataFrame, headers: Mapping[str, str]) -> pd.DataFrame:
    """The same table, with those of its columns that have words called by them."""
    titles = {column: said(headers, f"export.column_{column}") for column in ("metric", "file", "size")}
    return frame.rename(columns=titles)
