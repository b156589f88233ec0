"""The page Train: a form made of the installed parts, the experiment that it writes, and its start."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Annotated, Any

import gradio as gr
from gradio.events import api
from pydantic import Field

from p5core.config.tree import to_toml
from p5core.errors import ConfigError, P5Error
from p5ui.forms.experiment_form import ExperimentForm
from p5ui.i18n.messages import plain, said, said_in_markdown
from p5ui.i18n.translations import translated
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address
from p5ui.pages.confirmation import Confirmation
from p5ui.pages.events import ASKED, IN_TURN, QUICK, answered, shown
from p5ui.workspace.drafts import (
    Ahead,
    begun_with,
    check,
    delete_draft,
    draft_names,
    free_run_name,
    planned,
    read_draft,
    save_draft,
    tree_of,
)
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Train"
PATH = "train"

LONGEST_EXPERIMENT = 2**20
"""Characters of an experiment that a script may send."""

LEAVE = """(name) => { window.location.href = "runs?run=" + encodeURIComponent(name); }"""
"""Goes to the run that was started."""


def build(workspace: Workspace) -> None:
    """Draw the page."""
    _Page(workspace).draw()


class _Page:
    """The components of the page and what they call."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def draw(self) -> None:
        """Draft, form beside text, estimate, start."""
        gr.Markdown(t("train.heading"))
        gr.Markdown(t("train.intro"))
        self.kept = gr.BrowserState({}, storage_key="p5-train")
        self.shape = gr.Textbox(
            "", visible="hidden", elem_id="train-shape"
        )  # a State tells of no change out of a queue
        self.ahead = gr.State(Ahead())
        with gr.Row(equal_height=True):
            self.draft = gr.Dropdown(
                [], value=None, label=t("train.draft"), info=t("train.draft_help"), min_width=240, elem_id="train-draft"
            )
            self.begin = gr.Dropdown(
                [], value=None, label=t("train.begin"), info=t("train.begin_help"), min_width=240, elem_id="train-begin"
            )
            self.delete = gr.Button(t("train.delete"), scale=0, min_width=140, elem_id="train-delete")
        self.confirmation = Confirmation("train")
        with gr.Row():
            form = gr.Column(scale=3, min_width=340, elem_id="train-form")
            with gr.Column(scale=2, min_width=340):
                self._draw_text()
        with form:
            drawn = ExperimentForm(self._workspace, self.code, self.ahead, self.shape)
            gr.render(inputs=[self.shape], triggers=[self.shape.change], queue=False)(drawn.draw)
        self._draw_start()
        self._wire()

    def _draw_text(self) -> None:
        self.note = gr.Markdown(elem_id="train-note")
        self.code = gr.Code(
            "", language="python", label=t("train.toml"), interactive=True, lines=24, max_lines=48, wrap_lines=True,
            elem_id="train-toml",
        )  # fmt: skip
        with gr.Row(equal_height=True):
            self.name = gr.Textbox(label=t("train.name"), max_lines=1, scale=2, min_width=160, elem_id="train-name")
            self.save = gr.Button(t("train.save"), scale=1, min_width=100, elem_id="train-save")

    def _draw_start(self) -> None:
        gr.Markdown(t("train.before"))
        self.plan = gr.Button(t("train.plan"), elem_id="train-plan")
        self.expected = gr.Markdown(elem_id="train-expected")
        with gr.Accordion(t("train.details"), open=False, visible=False) as self.details:
            self.output = gr.Textbox(label=t("train.output"), lines=6, max_lines=20, interactive=False)
        with gr.Row(equal_height=True):
            self.run = gr.Textbox(label=t("train.run"), max_lines=1, scale=3, min_width=220, elem_id="train-run")
            self.start = gr.Button(t("train.start"), variant="primary", scale=1, min_width=140, elem_id="train-start")

    def _wire(self) -> None:
        texts = [self.code, self.ahead, self.shape]
        named = [*texts, self.name, self.run]
        gr.on(None, self._choices, None, [self.draft, self.begin], **QUICK).then(
            self._restore, [self.draft, self.kept], [*named, self.note], **QUICK
        )
        self.draft.input(shown(self._read), self.draft, named, **IN_TURN)
        follow_in_address(self.draft, "draft", replaced="run")
        self.confirmation.before(self.delete, self.draft, shown(self._delete)).success(
            self._offer, None, self.draft, **QUICK
        )
        self.begin.input(shown(self._begin), [self.begin, self.code, self.ahead], texts, **IN_TURN)
        self.code.input(Ahead, None, self.ahead, trigger_mode="always_last", **IN_TURN)
        self.code.change(self._verdict, self.code, self.note, trigger_mode="always_last", **QUICK)
        self.code.blur(lambda text: text, self.code, self.shape, **QUICK)
        self.code.change(self._keep, [self.draft, self.code], self.kept, trigger_mode="always_last", **QUICK)
        self.save.click(shown(self._save), [self.name, self.code], [self.draft, self.note], **ASKED)
        self.plan.click(
            shown(self._plan),
            self.code,
            [self.expected, self.output, self.details],
            concurrency_limit=1,
            concurrency_id="plan",
            api_visibility="private",
        )
        api(answered(self._endpoint()), api_name="start_run", queue=False)
        self.start.click(shown(self._start), [self.code, self.run], self.note, **ASKED).success(
            None, self.run, None, js=LEAVE, **QUICK
        )

    def _choices(self, request: gr.Request) -> list[Any]:
        """Drafts, with the one that the address names, and starts."""
        drafts = draft_names(self._workspace)
        draft = str(request.query_params.get("draft", ""))
        presets = self._workspace.registry.parts("preset")
        begins = [(translated(request.headers, info.about), name) for name, info in presets.items()]
        return [gr.Dropdown(drafts, value=draft if draft in drafts else None), gr.Dropdown(begins, value=None)]

    def _restore(self, name: str | None, kept: Any, request: gr.Request) -> list[Any]:
        """The draft, or the experiment of the run that the address names, or what had become of it before a reload."""
        run = "" if name else str(request.query_params.get("run", ""))
        try:
            text = self._workspace.jobs.clone(run) if run else read_draft(self._workspace, name) if name else ""
        except P5Error as error:
            return ["", Ahead(), "", "", "", plain(str(error))]
        is_same = isinstance(kept, dict) and (kept.get("draft"), kept.get("saved")) == (name, text)
        if is_same and not run and kept.get("text"):
            text = str(kept["text"])
        note = said(request.headers, "train.loading" if text else "train.no_draft")
        origin = name or run
        return [text, Ahead(), text, origin.rpartition("/")[2], free_run_name(self._workspace, origin), note]

    def _keep(self, name: str | None, text: str) -> dict[str, str | None]:
        """For the browser: what is typed, and what it came from."""
        is_known = name in draft_names(self._workspace)
        return {"draft": name, "text": text, "saved": read_draft(self._workspace, name) if name and is_known else ""}

    def _read(self, name: str) -> list[Any]:
        text = read_draft(self._workspace, name)
        return [text, Ahead(), text, name.rpartition("/")[2], free_run_name(self._workspace, name)]

    def _begin(self, start: str, text: str, ahead: Ahead) -> list[Any]:
        tree = tree_of(ahead.latest(text))
        if "data" not in tree:
            raise ConfigError("There is no data yet. Choose a draft first, or make one on the page Data.")
        begun = to_toml(begun_with(self._workspace.registry, start, tree))
        return [begun, ahead.then(text, begun), begun]

    def _verdict(self, text: str, request: gr.Request) -> str:
        """The verdict on the text: a runnable experiment, or the fault and its place."""
        if not text.strip():
            return said(request.headers, "train.no_draft")
        try:
            check(text, self._workspace)
        except P5Error as error:
            return said_in_markdown(request.headers, "train.faulty", fault=str(error))
        return said(request.headers, "train.valid")

    def _save(self, name: str, text: str, request: gr.Request) -> list[Any]:
        save_draft(self._workspace, name, text)
        return [
            gr.Dropdown(draft_names(self._workspace), value=name),
            said_in_markdown(request.headers, "train.saved", name=name),
        ]

    def _delete(self, name: str, request: gr.Request) -> None:
        delete_draft(self._workspace, name)
        gr.Info(said(request.headers, "train.said_delete", name=escape(name)))

    def _offer(self) -> Any:
        return gr.Dropdown(draft_names(self._workspace), value=None)

    def _plan(self, text: str, request: gr.Request) -> list[Any]:
        plan = planned(text, self._workspace)
        lines = "\n".join(f"- {plain(line)}" for line in [*plan["choices"], plan["estimate"]["sentence"]])
        return [lines, "\n".join(plan["sentences"]), gr.Accordion(visible=True)]

    def _endpoint(self) -> Callable[[str, str], str]:
        workspace = self._workspace

        def start_run(experiment: Annotated[str, Field(max_length=LONGEST_EXPERIMENT)], name: str) -> str:
            """Queue a run of an experiment given as TOML, under a name that no run has yet."""
            check(experiment, workspace)
            return workspace.jobs.submit(experiment, name).run

        return start_run

    def _start(self, text: str, name: str, request: gr.Request) -> str:
        check(text, self._workspace)
        self._workspace.jobs.submit(text, name)
        return said_in_markdown(request.headers, "train.started", name=name)
