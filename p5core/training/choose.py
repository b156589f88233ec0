"""What an experiment leaves open, decided by the data."""

from __future__ import annotations

from collections.abc import Sequence

from p5core.config import PartSpec
from p5core.errors import ConfigError
from p5core.evaluation.measure import choose_metrics
from p5core.experiment import Experiment, StageConfig, TaskSpec
from p5core.parts.loss import Loss, RankingLoss, RatingLoss
from p5core.parts.metric import Metric
from p5core.plugins import Registry

__all__ = ["check_metrics", "choose_loss", "metric_labels", "resolve_losses", "watched_metric"]

FULL_SOFTMAX_UP_TO = 10_000


def choose_loss(loss_kind: str, n_items: int) -> tuple[str, str]:
    """The loss that "auto" stands for and why: exact where the catalogue is small, sampled where it is large."""
    if loss_kind == "rating":
        return "mse", "ratings are predicted"
    if n_items <= FULL_SOFTMAX_UP_TO:
        return "cross_entropy", f"{n_items:,} items fit a full softmax"
    return "sampled_softmax", f"{n_items:,} items are too many for a full softmax at each step"


def resolve_losses(experiment: Experiment, registry: Registry, n_items: int) -> tuple[Experiment, list[str]]:
    """Replace every loss "auto"; also returns one sentence a task. Raises ConfigError when loss and task disagree."""
    sentences: list[str] = []
    stages = []
    for stage in experiment.stages:
        tasks = []
        for task in stage.tasks:
            resolved, why = _resolved(task, registry, n_items)
            sentences.append(f"stage {stage.name}, task {task.name}: loss {resolved.loss.name} ({why})")
            tasks.append(resolved)
        stages.append(stage.model_copy(update={"tasks": tasks}))
    return experiment.model_copy(update={"stages": stages}), sentences


def _resolved(task: TaskSpec, registry: Registry, n_items: int) -> tuple[TaskSpec, str]:
    part = registry.get("task", task.name)
    if task.loss.name == "auto":
        name, why = choose_loss(part.loss_kind, n_items)
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
