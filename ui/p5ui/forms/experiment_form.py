"""The form of an experiment, drawn from the options of the installed parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from p5core.config.document import parse_experiment
from p5core.config.experiment import (
    EvaluateConfig,
    Experiment,
    ModelConfig,
    OptimiserConfig,
    ProbeConfig,
    StageConfig,
    TaskSpec,
)
from p5core.config.prepare import PrepareConfig
from p5core.config.tree import Steps, get_value, set_value, to_toml
from p5core.errors import P5Error
from p5ui.forms.fields import Field, fields_of
from p5ui.forms.widgets import on_input, widget
from p5ui.i18n.translations import told
from p5ui.i18n.words import t
from p5ui.pages.events import shown
from p5ui.workspace.drafts import Ahead, tree_of
from p5ui.workspace.workspace import Workspace

__all__ = ["ExperimentForm"]

COMMON = {
    "width", "max_length", "dropout", "name", "epochs", "patience", "learning_rate", "from", "metrics", "baselines",
    "keep", "min_rating", "min_user_events", "min_item_events", "seed", "device", "validation", "test", "held_out",
}  # fmt: skip
"""Options of the sections that are open; the others are folded. Those of parts are all open."""

Change = Callable[[dict[str, Any], Any], dict[str, Any]]
"""The experiment after an input."""


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
        if experiment.model.scorer is None:
            self._draw_stages(tree, experiment)
        self._draw_rest(tree)

    def _draw_stages(self, tree: Mapping[str, Any], experiment: Experiment) -> None:
        for index in range(len(experiment.stages)):
            self._draw_stage(tree, index, experiment)
        button = gr.Button(t("train.add_stage"), elem_id="train-add-stage")
        self._on_shape(button, lambda tree, _: _with_stage(tree, experiment))

    def _draw_model(self, tree: Mapping[str, Any]) -> None:
        network, parts = ("encoders", "user_encoders", "backbone"), ("scorer", "blend")
        has_network = get_value(tree, ("model", "scorer"), None) is None
        with _section("model", is_open=True):
            sizes = () if has_network else ("width", "dropout", "combine", "unit_items")
            self._fields(tree, fields_of(ModelConfig, ("model",), (*network, *parts, *sizes)))
            self._draw_scorer(tree)
            if has_network:
                self._part(tree, "backbone", ("model", "backbone"), list(self._registry.parts("backbone")))
                self._parts(tree, "encoder", ("model", "encoders"), self._default("encoder"))
            self._parts(tree, "scorer", ("model", "blend"), [])

    def _draw_scorer(self, tree: Mapping[str, Any]) -> None:
        """The scorer that is the whole model, or none beside a network."""
        steps = ("model", "scorer")
        chosen = get_value(tree, steps, None)
        name = chosen["name"] if isinstance(chosen, Mapping) else chosen
        choices: list[tuple[str | I18nData, str]] = [
            (t("train.network"), ""),
            *((scorer, scorer) for scorer in self._registry.parts("scorer")),
        ]
        about = str(ModelConfig.model_fields["scorer"].description)
        box = gr.Dropdown(
            choices, value=name or "", label="scorer", info=told(about), interactive=True, elem_id=_id(steps)
        )
        self._on_shape(box, _with_scorer)
        if name in self._registry.parts("scorer"):
            self._rows(tree, fields_of(self._registry.get("scorer", name).Config, steps))

    def _default(self, kind: str) -> list[dict[str, Any]]:
        """The part that an experiment gets which names none of a kind."""
        return [{"name": self._registry.defaults(kind)[0].part.name}]

    def _draw_stage(self, tree: Mapping[str, Any], index: int, experiment: Experiment) -> None:
        steps: Steps = ("stages", index)
        tables = ["tasks", "optimiser", "data", "prepare", "sources", "temperature", "learning_rates"]
        left_out = [*tables, *(["from_run"] if index else [])]
        with gr.Accordion(f"{index + 1}. {experiment.stages[index].name}", open=True, elem_id=f"train-stage-{index}"):
            self._parts(tree, "task", (*steps, "tasks"), self._default("task"))
            options = fields_of(StageConfig, steps, left_out) + fields_of(OptimiserConfig, (*steps, "optimiser"))
            self._fields(tree, options)
            if len(experiment.stages) > 1:
                button = gr.Button(t("train.remove_stage"), size="sm", elem_id=f"train-remove-{index}")
                self._on_shape(button, lambda tree, _: set_value(tree, steps, None))

    def _draw_rest(self, tree: Mapping[str, Any]) -> None:
        with _section("prepare", is_open=False):
            self._fields(tree, fields_of(PrepareConfig, ("prepare",)))
        with _section("split", is_open=False):
            self._part(tree, "split", ("split",), list(self._registry.parts("split")))
        if get_value(tree, ("model", "scorer"), None) is None:
            with _section("probe", is_open=False):
                self._fields(tree, fields_of(ProbeConfig, ("probe",)))
        with _section("evaluate", is_open=False):
            self._fields(tree, [self._with_names(field) for field in fields_of(EvaluateConfig, ("evaluate",))])
        with _section("machine", is_open=False):
            sections = ("data", "prepare", "split", "model", "stages", "probe", "evaluate", "trackers")
            self._fields(tree, fields_of(Experiment, (), sections))
            self._parts(tree, "tracker", ("trackers",), [])

    def _with_names(self, field: Field) -> Field:
        """A list of scorers with the installed ones to choose from."""
        return replace(field, choices=tuple(self._registry.parts("scorer"))) if field.name == "baselines" else field

    def _part(self, tree: Mapping[str, Any], kind: str, steps: Steps, names: Sequence[str], default: str = "") -> None:
        """The choice of one part, and its options."""
        chosen = str(get_value(tree, (*steps, "name"), default or self._registry.defaults(kind)[0].part.name))
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
        self._on_shape(box, lambda tree, name: set_value(tree, steps, {"name": name}))
        if info:
            self._rows(tree, fields_of(info.part.Config, steps))

    def _parts(self, tree: Mapping[str, Any], kind: str, steps: Steps, default: list[dict[str, Any]]) -> None:
        """Any number of parts, each with its options."""
        specs = get_value(tree, steps, default)
        chosen = [str(spec["name"]) for spec in specs]
        parts = self._registry.parts(kind)
        abouts = {spec: parts[spec].about for spec in chosen if spec in parts}
        only = next(iter(abouts.values())) if len(abouts) == 1 else ""
        # A form that is drawn anew keeps the info of before where the new one is None.
        box = gr.Dropdown(
            list(dict.fromkeys([*parts, *chosen])), value=chosen, multiselect=True, label=f"{kind}s",
            info=told(only), interactive=True, elem_id=_id(steps),
        )  # fmt: skip
        if len(abouts) > 1:
            for name, about in abouts.items():
                gr.Markdown(f"`{name}`: {told(about)}")  # gradio translates the first sentence of a text alone
        self._on_shape(box, lambda tree, names: set_value(tree, steps, _chosen(get_value(tree, steps, default), names)))
        for place, name in enumerate(chosen):
            if name in parts:
                self._draw_options(tree, kind, name, (*steps, place))

    def _draw_options(self, tree: Mapping[str, Any], kind: str, name: str, steps: Steps) -> None:
        options = fields_of(self._registry.get(kind, name).Config, steps)
        if kind == "task":
            with gr.Accordion(name, open=True):
                self._rows(tree, options)
                self._part(tree, "loss", (*steps, "loss"), self._losses(name), "auto")
                self._fields(tree, fields_of(TaskSpec, steps, ("name", "loss")))
        elif options:
            with gr.Accordion(name, open=True):
                self._rows(tree, options)

    def _losses(self, task: str) -> list[str]:
        """The losses of the kind of a task."""
        kind = self._registry.get("task", task).loss_kind
        return ["auto", *(name for name, info in self._registry.parts("loss").items() if _kind(info.part) == kind)]

    def _fields(self, tree: Mapping[str, Any], fields: Sequence[Field]) -> None:
        """Common options open, the others folded."""
        self._rows(tree, [field for field in fields if field.name in COMMON])
        advanced = [field for field in fields if field.name not in COMMON]
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
            text = to_toml(change(tree_of(ahead.latest(seen)), value))
            return [text, ahead.then(seen, text), *[text for _ in drawn_from]]

        texts = [self._code, self._ahead]
        on_input(component, shown(event), [component, *texts], [*texts, *drawn_from])


def _section(name: str, *, is_open: bool) -> gr.Accordion:
    """A section with an id of its own: where a form that is drawn anew gives none, that of before stays."""
    return gr.Accordion(t(f"train.{name}"), open=is_open, elem_id=f"train-section-{name}")


def _chosen(specs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Parts of these names, those that were there before with their options."""
    by_name = {str(spec["name"]): dict(spec) for spec in specs}
    return [by_name.get(name, {"name": name}) for name in names]


def _with_scorer(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """A scorer as the whole model: what belongs to a network and its training goes; or a network again."""
    if not name:
        return set_value(tree, ("model", "scorer"), None)
    model = {key: value for key, value in tree.get("model", {}).items() if key in ("max_length", "blend")}
    rest = {key: value for key, value in tree.items() if key != "stages"}
    return {**rest, "model": {**model, "scorer": {"name": name}}}


def _with_stage(tree: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """One stage more, that fine-tunes on the next item."""
    stages = list(get_value(tree, ("stages",), [])) or [{"name": experiment.stages[0].name}]
    stage = {"name": f"stage-{len(stages) + 1}", "tasks": [{"name": "auto"}], "epochs": 20}
    return set_value(tree, ("stages",), [*stages, stage])


def _kind(part: Any) -> str:
    return str(part.kind)


def _id(steps: Steps) -> str:
    return "-".join(["option", *map(str, steps)])
