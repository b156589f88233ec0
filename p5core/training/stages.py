"""All stages of an experiment, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from p5core.config.experiment import Experiment, StageConfig
from p5core.contracts.metric import Metric
from p5core.contracts.task import SolvedTask, Task, TrainingData
from p5core.contracts.tracker import ResumeEvent, StageEvent
from p5core.data.catalogue import Users
from p5core.data.dataset import Dataset
from p5core.data.holdout import Split
from p5core.errors import ConfigError, PluginError
from p5core.evaluation.evaluator import Evaluator
from p5core.model.build import count_items
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.model.warm_start import Source, entity_index, warm_start
from p5core.plugins.registry import Registry
from p5core.training.checkpoint import Progress, load_checkpoint, random_state, save_checkpoint
from p5core.training.engine import Engine
from p5core.training.loop import Callback, Moments, Stage, train_stage
from p5core.training.memory import advised
from p5core.training.sources import Sources

__all__ = ["StageData", "StageEvaluator", "fit", "make_stage", "make_tasks"]


@dataclass(frozen=True, eq=False)
class StageData:
    """One data set that a stage trains and validates on."""

    dataset: Dataset
    split: Split


@dataclass(frozen=True, eq=False)
class StageEvaluator:
    """Validation of one stage."""

    evaluators: Sequence[Evaluator]
    """one for each source"""

    watch: Metric
    """metric that picks the best epoch"""

    tasks: Sequence[Task]
    """tasks that predict values and probabilities"""

    def validate(self, network: Network) -> dict[str, float]:
        """Metric label → value of a network as it stands, without intervals; the mean over the sources."""
        training = network.training
        values = [
            evaluator.values(NetworkScorer(network, evaluator.max_length, tasks=self.tasks))
            for evaluator in self.evaluators
        ]
        network.train(training)
        return {label: float(np.mean([of_source[label] for of_source in values])) for label in values[0]}

    @property
    def n_users(self) -> int:
        """Number of users of all sources."""
        return sum(len(evaluator.holdout) for evaluator in self.evaluators)

    def sample(self, n: int) -> StageEvaluator:
        """The same validation by at most `n` users of each source."""
        rng = np.random.default_rng(0)
        return replace(
            self, evaluators=[evaluator.of(evaluator.holdout.sample(n, rng)) for evaluator in self.evaluators]
        )


def make_tasks(index: int, stage: StageConfig, registry: Registry) -> list[Task]:
    """Build the tasks of a stage with their losses."""
    tasks = []
    for nth, spec in enumerate(stage.tasks):
        where = f"stages.{index}.tasks.{nth}"
        is_solved = issubclass(registry.get("task", spec.name), SolvedTask)
        loss = None if is_solved else registry.choose("loss", spec.loss, f"{where}.loss").build()
        task = registry.choose("task", spec, where).build(loss)
        if loss is not None:
            _refuse_parameters(f"Loss '{spec.loss.name}'", loss, "Make it in the `layers` of a task.")
        _refuse_parameters(f"Task '{spec.name}'", task, "Make it in `layers`.")
        tasks.append(task)
    alone = next((task.name for task in tasks if isinstance(task, SolvedTask)), None)
    if alone and len(tasks) > 1:
        raise ConfigError(
            f"stages.{index}: task '{alone}' fits the network by itself, so it is the only task of its stage. Give the "
            "others a stage of their own."
        )
    if alone and len(stage.all_sources) > 1:
        raise ConfigError(f"stages.{index}: task '{alone}' fits the network to one data set. Leave out the sources.")
    return tasks


def _refuse_parameters(what: str, part: object, remedy: str) -> None:
    """Raise PluginError for a parameter that training would neither move nor store."""
    held = {**vars(part), **vars(part).get("_parameters", {}), **vars(part).get("_modules", {})}
    for name, value in held.items():
        is_trained = isinstance(value, Tensor) and value.requires_grad
        if is_trained or (isinstance(value, nn.Module) and any(True for _ in value.parameters())):
            raise PluginError(f"{what} has the parameter `{name}`, which would not be trained or stored. {remedy}")


def fit(
    network: Network,
    experiment: Experiment,
    registry: Registry,
    target: StageData,
    stages_data: Sequence[Sequence[StageData]],
    evaluators: Sequence[StageEvaluator | None],
    folder: Path,
    callback: Callback,
    engine: Engine,
    last_epochs: Sequence[int | None] = (),
) -> float:
    """Train every stage, or go on from `folder`'s last checkpoint; returns the seconds it took.

    `stages_data` holds the sources of each stage; the network serves the items of the `target`. `evaluators` holds one
    for each stage; a stage with None keeps its last epoch, which is that of `last_epochs` if there are any.
    """
    if experiment.model.scorer is not None:
        count_items(network, target.split.train)
        return 0.0
    torch.manual_seed(experiment.seed + engine.rank)
    progress, moments = _start(network, folder, engine)
    if progress != Progress() and engine.is_first:
        callback.event(ResumeEvent(progress.stage, progress.epoch))
    for index in range(progress.stage, len(experiment.stages)):
        if progress.epoch == progress.batch == 0:
            _begin(network, experiment, stages_data, index)
        count_items(network, *(source.split.train for source in stages_data[index]))
        stage = make_stage(network, experiment, registry, stages_data[index], evaluators[index], folder, index)
        stage = replace(stage, last_epoch=last_epochs[index] if last_epochs else None)
        options = f"stages.{index}.token_budget (now {stage.config.token_budget:,}), model.max_length or model.width"
        with advised(f"Lower {options}."):
            progress = train_stage(network, stage, engine, callback, progress, moments)
        states = engine.gather(random_state())
        if engine.is_first:
            save_checkpoint(stage.last, network, None, progress, states)
            callback.event(StageEvent(stage.config.name, index + 1, progress.seconds))
        moments = None
    _end(network, experiment, target, stages_data)
    return progress.seconds


def _start(network: Network, folder: Path, engine: Engine) -> tuple[Progress, Moments | None]:
    last = folder / "last.safetensors"
    if not last.exists():
        return Progress(), None
    weights, moments, progress = load_checkpoint(last, engine.rank)
    network.load_state_dict(weights)
    return progress, moments


def make_stage(
    network: Network,
    experiment: Experiment,
    registry: Registry,
    stage_data: Sequence[StageData],
    evaluator: StageEvaluator | None,
    folder: Path,
    index: int,
) -> Stage:
    """One stage with its tasks, sources and validation; checkpoints go to `folder`."""
    config = experiment.stages[index]
    backbone = registry.get("backbone", experiment.model.backbone.name)
    budget = config.token_budget
    assert isinstance(budget, int)
    return Stage(
        index=index,
        config=config,
        tasks=make_tasks(index, config, registry),
        sources=Sources(
            [
                TrainingData(
                    source.split.train,
                    backbone,
                    experiment.model.max_length,
                    budget,
                    source.dataset.catalogue,
                    Users(source.dataset.user_frame),
                )
                for source in stage_data
            ],
            [source.weight for source in config.all_sources],
            config.temperature,
        ),
        validate=evaluator.validate if evaluator else None,
        watch=evaluator.watch.label if evaluator else "",
        starts_trained=index > 0 or bool(config.from_run) or network.items.reads_content,
        higher_is_better=evaluator is None or evaluator.watch.higher_is_better,
        seed=experiment.seed,
        folder=folder,
    )


def _begin(network: Network, experiment: Experiment, stages_data: Sequence[Sequence[StageData]], index: int) -> None:
    """Place the items that are new in a stage, before its first step; a run to start from has placed its own."""
    if index > 0 and any(source not in stages_data[index - 1] for source in stages_data[index]):
        _place_new_items(network, stages_data[index][0].dataset, stages_data[:index])
    elif index == 0 and network.items.reads_content and not experiment.stages[0].from_run:
        _place_new_items(network, stages_data[0][0].dataset, stages_data[:1])


def _end(
    network: Network, experiment: Experiment, target: StageData, stages_data: Sequence[Sequence[StageData]]
) -> None:
    """Count the events of the target, and place the items that no stage has trained."""
    count_items(network, target.split.train)
    if network.items.reads_content and not experiment.stages[0].from_run:
        _place_new_items(network, target.dataset, stages_data)


def _place_new_items(network: Network, dataset: Dataset, trained_on: Sequence[Sequence[StageData]]) -> None:
    """Items without training events in these stages get, beside their content, the mean of the others' own vectors."""
    trained = _occurs([source for stage_data in trained_on for source in stage_data], len(dataset.catalogue))
    if trained.all():
        return
    entities = entity_index(dataset)
    labels = network.row_labels()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    for name, rows in labels.items():
        if rows == "item":
            weights[name] = weights[name][torch.from_numpy(trained).to(weights[name].device)]
    trained_index = {"item": entities["item"][trained], "user": entities["user"]}
    warm_start(network, entities, Source(weights, labels, trained_index))


def _occurs(stages_data: Sequence[StageData], n_items: int) -> npt.NDArray[np.bool_]:
    """(V,) True for items with training events in any of the stages."""
    counts = sum(np.bincount(stage_data.split.train.items, minlength=n_items) for stage_data in stages_data)
    return np.asarray(counts) > 0
