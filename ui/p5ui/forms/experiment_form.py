"""The form of an experiment, drawn from the options of the installed parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from p5core.config.experiment import (
    EvaluateConfig,
    Experiment,
    ModelConfig,
    OptimiserConfig,
    StageConfig,
    TaskSpec,
    parse_experiment,
)
from p5core.data.ingest.prepare import PrepareConfig
from p5core.errors import P5Error
from p5core.model.options import NeighboursConfig
from p5ui.forms.fields import SPLITS, Field, Steps, at, fields_of, put
from p5ui.forms.widgets import on_input, widget
from p5ui.i18n.translations import told
from p5ui.i18n.words import t
from p5ui.pages.events import shown
from p5ui.workspace.drafts import Ahead, tree_of, written
from p5ui.workspace.workspace import Workspace

__all__ = ["ExperimentForm"]

COMMON = {
    "width", "max_length", "dropout", "name", "epochs", "patience", "learning_rate", "from", "metrics", "baselines",
    "keep", "min_rating", "min_user_events", "min_item_events", "seed", "device", "validation", "test", "held_out",
}  # fmt: skip
"""Options of the sections that are open; the others are folded. Those of parts are all open."""

Change = Callable[[dict[str, Any], Any], dict[str, Any]]
"""What an input makes of the experiment."""


class ExperimentForm:
    """Draws the form and writes what is put in into the text beside it."""

    def __init__(self, workspace: Workspace, code: gr.Code, ahead: gr.State, shape: gr.Textbox) -> None:
        self._workspace, self._registry = workspace, workspace.registry
        self._code, self._ahead, self._shape = code, ahead, shape

    def draw(self, text: str) -> None:
        """All sections of an experiment; a sentence when it cannot be read."""
        try:
            tree = tree_of(text)
            experiment = parse_experiment(tree) if text.strip() else None
        except P5Error:
            gr.Markdown(t("train.unreadable"))
            return
        if experiment is None:
            gr.Markdown(t("train.no_draft"))
            return
        self._draw_model(tree)
        for index in range(len(experiment.stages)):
            self._draw_stage(tree, index, experiment)
        button = gr.Button(t("train.add_stage"), elem_id="train-add-stage")
        self._on_shape(button, lambda tree, _: _with_stage(tree, experiment))
        self._draw_rest(tree)

    def _draw_model(self, tree: Mapping[str, Any]) -> None:
        with gr.Accordion(t("train.model"), open=True):
            self._fields(tree, fields_of(ModelConfig, ("model",), ("encoders", "backbone", "memory")))
            self._part(tree, "backbone", ("model", "backbone"), "gpt", list(self._registry.parts("backbone")))
            self._parts(tree, "encoder", ("model", "encoders"), [{"name": "id"}])
            self._draw_memory(tree)

    def _draw_memory(self, tree: Mapping[str, Any]) -> None:
        steps: Steps = ("model", "memory")
        has_memory = at(tree, steps) is not None
        words = " ".join((ModelConfig.model_fields["memory"].description or "").split())
        box = gr.Checkbox(has_memory, label="memory", info=told(words), interactive=True, elem_id="option-model-memory")
        self._on_shape(box, lambda tree, is_on: put(tree, steps, {} if is_on else None))
        if has_memory:
            with gr.Accordion(t("train.memory"), open=False):
                self._rows(tree, fields_of(NeighboursConfig, steps))

    def _draw_stage(self, tree: Mapping[str, Any], index: int, experiment: Experiment) -> None:
        steps: Steps = ("stages", index)
        left_out = ["tasks", "optimiser", "data", "prepare", *(["from_run"] if index else [])]
        with gr.Accordion(f"{index + 1}. {experiment.stages[index].name}", open=True, elem_id=f"train-stage-{index}"):
            self._parts(tree, "task", (*steps, "tasks"), [{"name": "next_item"}])
            options = fields_of(StageConfig, steps, left_out) + fields_of(OptimiserConfig, (*steps, "optimiser"))
            self._fields(tree, options)
            if len(experiment.stages) > 1:
                button = gr.Button(t("train.remove_stage"), size="sm", elem_id=f"train-remove-{index}")
                self._on_shape(button, lambda tree, _: put(tree, steps, None))

    def _draw_rest(self, tree: Mapping[str, Any]) -> None:
        with gr.Accordion(t("train.prepare"), open=False):
            self._fields(tree, fields_of(PrepareConfig, ("prepare",)))
        with gr.Accordion(t("train.split"), open=False):
            chosen = str(at(tree, ("split", "name"), "leave_one_out"))
            box = gr.Dropdown(
                list(SPLITS),
                value=chosen,
                label="split",
                info=told(_about(SPLITS[chosen])),
                interactive=True,
                elem_id="option-split",
            )
            self._on_shape(box, lambda tree, name: put(tree, ("split",), {"name": name}))
            self._rows(tree, fields_of(SPLITS[chosen], ("split",), ("name",)))
        with gr.Accordion(t("train.evaluate"), open=False):
            self._fields(tree, fields_of(EvaluateConfig, ("evaluate",)))
        with gr.Accordion(t("train.machine"), open=False):
            sections = ("data", "prepare", "split", "model", "stages", "evaluate", "export", "trackers")
            self._fields(tree, fields_of(Experiment, (), sections))
            self._parts(tree, "tracker", ("trackers",), [])

    def _part(self, tree: Mapping[str, Any], kind: str, steps: Steps, default: str, names: Sequence[str]) -> None:
        """One part: which, and its options."""
        chosen = str(at(tree, (*steps, "name"), default))
        info = self._registry.parts(kind).get(chosen)
        about = told(info.about) if info else ""
        box = gr.Dropdown(
            list(dict.fromkeys([*names, chosen])),
            value=chosen,
            label=kind,
            info=about,
            interactive=True,
            elem_id=_id(steps),
        )
        self._on_shape(box, lambda tree, name: put(tree, steps, {"name": name}))
        if info:
            self._rows(tree, fields_of(info.part.Config, steps))

    def _parts(self, tree: Mapping[str, Any], kind: str, steps: Steps, default: list[dict[str, Any]]) -> None:
        """Any number of parts, each with its options."""
        specs = at(tree, steps, default)
        chosen = [str(one["name"]) for one in specs]
        known = self._registry.parts(kind)
        abouts = {one: known[one].about for one in chosen if one in known}
        only = next(iter(abouts.values())) if len(abouts) == 1 else ""
        # A form that is drawn anew keeps the info of before where the new one is None.
        box = gr.Dropdown(
            list(dict.fromkeys([*known, *chosen])), value=chosen, multiselect=True, label=f"{kind}s",
            info=told(only), interactive=True, elem_id=_id(steps),
        )  # fmt: skip
        if len(abouts) > 1:
            for name, about in abouts.items():
                gr.Markdown(f"`{name}`: {told(about)}")  # gradio translates the first sentence of a text alone
        self._on_shape(box, lambda tree, names: put(tree, steps, _chosen(at(tree, steps, default), names)))
        for place, name in enumerate(chosen):
            if name in known:
                self._draw_options(tree, kind, name, (*steps, place))

    def _draw_options(self, tree: Mapping[str, Any], kind: str, name: str, steps: Steps) -> None:
        options = fields_of(self._registry.get(kind, name).Config, steps)
        if kind == "task":
            with gr.Accordion(name, open=True):
                self._rows(tree, options)
                self._part(tree, "loss", (*steps, "loss"), "auto", self._losses(name))
                self._fields(tree, fields_of(TaskSpec, steps, ("name", "loss")))
        elif options:
            with gr.Accordion(name, open=True):
                self._rows(tree, options)

    def _losses(self, task: str) -> list[str]:
        """Those that suit a task."""
        from p5core.contracts.loss import RankingLoss, RatingLoss  # brings torch, which no other page waits for

        wanted = RatingLoss if self._registry.get("task", task).loss_kind == "rating" else RankingLoss
        return ["auto", *(name for name, one in self._registry.parts("loss").items() if issubclass(one.part, wanted))]

    def _fields(self, tree: Mapping[str, Any], fields: Sequence[Field]) -> None:
        """Common options open, the others folded."""
        self._rows(tree, [one for one in fields if one.name in COMMON])
        advanced = [one for one in fields if one.name not in COMMON]
        if advanced:
            with gr.Accordion(t("train.advanced"), open=False):
                self._rows(tree, advanced)

    def _rows(self, tree: Mapping[str, Any], fields: Sequence[Field]) -> None:
        if fields:
            with gr.Row():
                for field in fields:
                    self._on_value(widget(field, tree), field.apply)

    def _on_value(self, component: Component, change: Change) -> None:
        """An input that changes a value: the text is written anew, the form stays."""
        self._on_change(component, change, [])

    def _on_shape(self, component: Component, change: Change) -> None:
        """An input that changes which options there are: the form is drawn anew."""
        self._on_change(component, change, [self._shape])

    def _on_change(self, component: Component, change: Change, drawn_from: list[Component]) -> None:
        def event(value: Any, seen: str, ahead: Ahead) -> list[Any]:
            text = written(change(tree_of(ahead.latest(seen)), value))
            return [text, ahead.then(seen, text), *[text for _ in drawn_from]]

        texts = [self._code, self._ahead]
        on_input(component, shown(event), [component, *texts], [*texts, *drawn_from])


def _chosen(specs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Parts of these names, those that were there before with their options."""
    known = {str(one["name"]): dict(one) for one in specs}
    return [known.get(name, {"name": name}) for name in names]


def _with_stage(tree: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """One stage more, that fine-tunes on the next item."""
    stages = list(at(tree, ("stages",), [])) or [{"name": experiment.stages[0].name}]
    stage = {"name": f"stage-{len(stages) + 1}", "tasks": [{"name": "next_item"}], "epochs": 20}
    return put(tree, ("stages",), [*stages, stage])


def _about(config: type[Any]) -> str:
    return " ".join((config.__doc__ or "").split())


def _id(steps: Steps) -> str:
    return "-".join(["option", *map(str, steps)])
