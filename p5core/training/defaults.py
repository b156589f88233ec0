"""What an experiment leaves open, decided by the data and the machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from p5core.config.base import PartSpec
from p5core.config.experiment import Experiment, StageConfig, TaskSpec
from p5core.contracts.loss import Loss, RankingLoss, RatingLoss
from p5core.contracts.metric import Metric
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError
from p5core.evaluation.metric_results import choose_metrics
from p5core.plugins.registry import Registry

__all__ = [
    "check_metrics",
    "choose_device",
    "choose_loss",
    "choose_precision",
    "metric_labels",
    "resolve_losses",
    "resolve_precision",
    "watched_metric",
]

FULL_SOFTMAX_UP_TO = 10_000
"""Items that a softmax takes in whatever the log."""

FULL_SOFTMAX_WORK = 10_000_000_000
"""Items times events up to which a softmax over all items is worth its time: minutes an epoch on one core. On Beauty it
learnt more than any sample of the items."""

BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Names by which torch tells that a processor multiplies in bfloat16; on ARM nobody has measured it yet."""


def choose_device(device: str) -> str:
    """What "auto" stands for: CUDA when there is one, else the processor; others as they are."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(device: str) -> tuple[str, str]:
    """What "auto" stands for on a device, and why: bfloat16 where products in it are the quicker ones."""
    kind = choose_device(device).partition(":")[0]
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed", "this GPU multiplies in bfloat16"
    if kind == "cpu" and any(_capabilities().get(name) for name in BFLOAT16):
        return "bf16-mixed", "this processor multiplies in bfloat16"
    return "32-true", "bfloat16 would not be quicker here"


def _capabilities() -> dict[str, object]:
    """What the processor can do; older releases of torch do not tell."""
    tell = getattr(torch.cpu, "get_capabilities", dict)
    found: dict[str, object] = tell()
    return found


def resolve_precision(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Replace the precision "auto"; also returns a sentence about it."""
    if experiment.precision != "auto":
        return experiment, []
    precision, why = choose_precision(experiment.device)
    return experiment.model_copy(update={"precision": precision}), [f"precision {precision} ({why})"]


def choose_loss(loss_kind: str, n_items: int, n_events: int) -> tuple[str, str]:
    """The loss that "auto" stands for and why: exact where that takes minutes an epoch, sampled where it does not."""
    if loss_kind == "rating":
        return "mse", "ratings are predicted"
    if n_items <= FULL_SOFTMAX_UP_TO or n_items * n_events <= FULL_SOFTMAX_WORK:
        return "cross_entropy", f"{n_items:,} items fit a full softmax"
    return "sampled_softmax", f"{n_items:,} items are too many for a full softmax over {n_events:,} events"


def resolve_losses(experiment: Experiment, registry: Registry, data: Dataset) -> tuple[Experiment, list[str]]:
    """Replace every loss "auto"; also returns one sentence a task. Raises ConfigError when loss and task disagree."""
    sentences: list[str] = []
    stages = []
    for stage in experiment.stages:
        tasks = []
        for task in stage.tasks:
            resolved, why = _resolved(task, registry, data)
            sentences.append(f"stage {stage.name}, task {task.name}: loss {resolved.loss.name} ({why})")
            tasks.append(resolved)
        stages.append(stage.model_copy(update={"tasks": tasks}))
    return experiment.model_copy(update={"stages": stages}), sentences


def _resolved(task: TaskSpec, registry: Registry, data: Dataset) -> tuple[TaskSpec, str]:
    part = registry.get("task", task.name)
    if task.loss.name == "auto":
        name, why = choose_loss(part.loss_kind, data.n_items, len(data.events))
        return task.model_copy(update={"loss": PartSpec(name=name)}), why
    wanted: type[Loss] = RatingLoss if part.loss_kind == "rating" else RankingLoss
    if not issubclass(registry.get("loss", task.loss.name), wanted):
        suits = [name for name, info in registry.parts("loss").items() if issubclass(info.part, wanted)]
        raise ConfigError(f"Loss '{task.loss.name}' does not suit task '{task.name}'. Suitable: {', '.join(suits)}.")
    return task, "as the experiment says"


def check_metrics(experiment: Experiment, registry: Registry, labels: Sequence[str] = ()) -> None:
    """Check `labels` and every metric that an experiment names; raises UnknownPartError or ConfigError."""
    watched = [stage.watch for stage in experiment.stages if stage.watch]
    kinds = {registry.get("task", task.name).loss_kind for stage in experiment.stages for task in stage.tasks}
    for metric in choose_metrics(registry, [*experiment.evaluate.metrics, *watched, *labels]):
        if metric.needs == "ratings" and "rating" not in kinds:
            raise ConfigError(
                f"Metric '{metric.label}' compares ratings, and no task of the experiment predicts any. "
                "Choose another metric, or add the task 'rating' to a stage."
            )


def metric_labels(experiment: Experiment, registry: Registry, stages: Sequence[StageConfig]) -> list[str]:
    """What is measured for some stages: what the experiment names, else what their tasks name."""
    if experiment.evaluate.metrics:
        return list(dict.fromkeys(experiment.evaluate.metrics))
    named = [label for stage in stages for task in stage.tasks for label in registry.get("task", task.name).metrics]
    return list(dict.fromkeys(named))


def watched_metric(stage: StageConfig, registry: Registry) -> Metric:
    """The metric that picks the best epoch of a stage."""
    label = stage.watch or registry.get("task", stage.tasks[0].name).metrics[-1]
    return choose_metrics(registry, [label])[0]
