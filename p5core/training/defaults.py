"""Resolution of "auto" options from the data and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from p5core.config.base import AUTO, PartRef, PartSpec
from p5core.config.experiment import Experiment, StageConfig, TaskSpec
from p5core.config.parts import Place, parts_of
from p5core.config.tree import set_value
from p5core.contracts.metric import Metric
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError, UnknownPartError
from p5core.evaluation.metric_results import choose_metrics
from p5core.plugins.registry import Registry
from p5core.training.engine import choose_device, choose_precision

__all__ = [
    "baseline_labels",
    "check_losses",
    "check_metrics",
    "choose_loss",
    "choose_token_budget",
    "metric_refs",
    "name_defaults",
    "named_metrics",
    "predicted_fields",
    "resolve",
    "watched_metric",
]

TOKENS, MAX_TOKENS = 2_048, 16_384
"""Positions per batch for "auto": on a CPU, and at most on a GPU."""

MIN_STEPS = 1_000
"""Minimum number of steps per epoch with batches larger than TOKENS.

On an H100, batches of 16,384 positions left Amazon Beauty 11 steps an epoch, and it lost 4 % of its NDCG@10;
MovieLens-1M lost 7 %.
"""

LONGEST_READ = 1_000
"""Newest items that a model of scorers alone reads at most, unless the experiment says otherwise."""

NEEDS = {"value": "values", "probability": "probabilities", "text": "texts"}
"""Kind of an output → `Metric.needs` of its metrics."""


def baseline_labels(refs: Sequence[PartRef]) -> list[str]:
    """The label of each baseline among the figures: its name, with its options where another one has the name.

    Raises ConfigError for a baseline that is named twice.
    """
    labels: list[str] = []
    for spec in map(PartSpec.of, refs):
        name = spec.name.rpartition("/")[2]
        options = ",".join(f"{key}={value}" for key, value in spec.options.items())
        label = f"{name},{options}" if name in labels and options else name
        if label in labels:
            raise ConfigError(f"evaluate.baselines names '{label}' twice. Leave one out, or give it other options.")
        labels.append(label)
    return labels


def name_defaults(experiment: Experiment, registry: Registry) -> Experiment:
    """Replace every part "auto" but losses by the default of its kind, so that a stored experiment names its parts."""
    tree: dict[str, Any] = experiment.model_dump(by_alias=True)
    if experiment.model.scorer is not None and "max_length" not in experiment.model.model_fields_set:
        tree = set_value(tree, ("model", "max_length"), LONGEST_READ)
    if experiment.stages[0].from_run:  # the weights were made for the options as they are
        tree = set_value(tree, ("probe",), {})
    for place in parts_of(experiment):
        if place.kind != "loss" and PartSpec.of(place.spec).name == AUTO.name:
            tree = _with_default(tree, place, registry)
    return type(experiment).model_validate(tree).model_copy(update={"notes": experiment.notes})


def _with_default(tree: dict[str, Any], place: Place, registry: Registry) -> dict[str, Any]:
    names = [info.part.name for info in registry.defaults(place.kind)]
    if isinstance(place.spec, str):  # a list of labels: all defaults take the place of "auto"
        *outer, nth = place.steps
        assert isinstance(nth, int)
        refs = _at(tree, outer)
        return set_value(tree, tuple(outer), [*refs[:nth], *names, *refs[nth + 1 :]])
    return set_value(tree, (*place.steps, "name"), names[0])


def _at(tree: Any, steps: Sequence[Any]) -> Any:
    for step in steps:
        tree = tree[step]
    return tree


def resolve(experiment: Experiment, registry: Registry, data: Dataset) -> tuple[Experiment, list[str]]:
    """Resolve "auto" options by data and machine; also returns a sentence about each choice.

    Raises ConfigError when a loss does not suit its task.
    """
    sentences: list[str] = []
    if experiment.precision == "auto":
        precision, why = choose_precision(experiment.device)
        experiment = experiment.model_copy(update={"precision": precision})
        sentences.append(f"precision {precision} ({why})")
    if experiment.model.scorer is not None:
        return experiment, sentences
    tokens = choose_token_budget(experiment.device, len(data.events))
    stages = []
    for stage in experiment.stages:
        tasks = [_resolved(stage, task, registry, data, sentences.append) for task in stage.tasks]
        budget = tokens if isinstance(stage.token_budget, str) else stage.token_budget
        stages.append(stage.model_copy(update={"tasks": tasks, "token_budget": budget}))
    return experiment.model_copy(update={"stages": stages}), sentences


def _resolved(
    stage: StageConfig, task: TaskSpec, registry: Registry, data: Dataset, say: Callable[[str], None]
) -> TaskSpec:
    part = registry.get("task", task.name)
    if part.is_solved:
        return task
    if task.loss.name != AUTO.name:
        say(f"stage {stage.name}, task {task.name}: loss {task.loss.name} (as the experiment says)")
        return task
    name, why = choose_loss(registry, part, data.n_items, len(data.events))
    say(f"stage {stage.name}, task {task.name}: loss {name} ({why})")
    return task.model_copy(update={"loss": PartSpec(name=name)})


def choose_token_budget(device: str, n_events: int) -> int:
    """Positions per batch for "auto", by device and number of events."""
    if choose_device(device).partition(":")[0] == "cpu":
        return TOKENS
    return min(MAX_TOKENS, max(TOKENS, n_events // MIN_STEPS))


def choose_loss(registry: Registry, task: type[Any], n_items: int, n_events: int) -> tuple[str, str]:
    """The loss that "auto" stands for, and why: the task's own, or the first default of its kind that suits."""
    if task.default_loss is not None:
        try:
            registry.get("loss", task.default_loss)
        except UnknownPartError as error:
            raise UnknownPartError(f"The default loss of task '{task.name}': {error}") from None
        return task.default_loss, f"the default of task {task.name}"
    for info in registry.defaults("loss"):
        loss: Any = info.part
        why = loss.suits(n_items, n_events) if loss.kind == task.loss_kind else None
        if why is not None:
            return info.part.name, why
    raise UnknownPartError(f"No loss is the default of kind '{task.loss_kind}'. Name one for task '{task.name}'.")


def check_losses(experiment: Experiment, registry: Registry) -> None:
    """Raise ConfigError if the kind of a loss differs from that of its task."""
    for stage in experiment.stages:
        for task in stage.tasks:
            part = registry.get("task", task.name)
            kind = part.loss_kind
            if task.loss.name != AUTO.name and part.is_solved:
                raise ConfigError(f"Task '{task.name}' fits the network by itself and takes no loss. Remove it.")
            if task.loss.name != AUTO.name and registry.get("loss", task.loss.name).kind != kind:
                suits = [name for name, info in registry.parts("loss").items() if _kind(info.part) == kind]
                raise ConfigError(
                    f"Loss '{task.loss.name}' does not suit task '{task.name}'. Suitable: {', '.join(suits)}."
                )


def _kind(part: Any) -> str:
    return str(part.kind)


def predicted_fields(experiment: Experiment, registry: Registry) -> Mapping[str, str]:
    """Kind of prediction → field of the events that the tasks predict; the latest stage wins."""
    fields: dict[str, str] = {}
    for stage in reversed(experiment.stages):
        for spec in stage.tasks:
            try:
                outputs = registry.get("task", spec.name).outputs
            except UnknownPartError:  # a finished run is served without the parts that only trained it
                continue
            for output in outputs.values():
                if output.kind in NEEDS:
                    fields.setdefault(NEEDS[output.kind], output.field)
    return fields


def named_metrics(experiment: Experiment) -> list[PartRef]:
    """Every metric that an experiment names."""
    return [*experiment.evaluate.metrics, *(stage.watch for stage in experiment.stages if stage.watch)]


def check_metrics(experiment: Experiment, registry: Registry, refs: Sequence[PartRef]) -> None:
    """Check that metrics exist and that the tasks predict what they read; raises UnknownPartError or ConfigError."""
    fields = predicted_fields(experiment, registry)
    for metric in choose_metrics(registry, refs):
        if metric.needs not in ("ranks", "lists", *fields):
            able = [
                name
                for name, info in registry.parts("task").items()
                if metric.needs in {NEEDS.get(output.kind) for output in _outputs(info.part)}
            ]
            raise ConfigError(
                f"Metric '{metric.label}' needs predicted {metric.needs}, and no task of the experiment predicts any. "
                f"Choose another metric, or add a task that does to a stage: {', '.join(able) or 'none is installed'}."
            )


def _outputs(task: Any) -> Sequence[Any]:
    return list(task.outputs.values())


def metric_refs(experiment: Experiment, registry: Registry, stages: Sequence[StageConfig]) -> list[PartRef]:
    """The metrics of some stages: those that the experiment names, else those that their tasks name."""
    if experiment.evaluate.metrics:
        return list(experiment.evaluate.metrics)
    named = [label for stage in stages for task in stage.tasks for label in registry.get("task", task.name).metrics]
    return list(dict.fromkeys(named))


def watched_metric(stage: StageConfig, registry: Registry) -> Metric:
    """The metric that picks the best epoch of a stage."""
    label = stage.watch or registry.get("task", stage.tasks[0].name).metrics[-1]
    return choose_metrics(registry, [label])[0]
