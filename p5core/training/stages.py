"""All stages of an experiment, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision

from p5core.config.experiment import Experiment, StageConfig
from p5core.contracts.metric import Metric
from p5core.contracts.task import Task, TrainingData
from p5core.data.dataset import Dataset
from p5core.data.split import Split
from p5core.errors import ConfigError
from p5core.evaluation.evaluator import Evaluator
from p5core.model.build import count_items
from p5core.model.network import Network
from p5core.model.warm_start import warm_start
from p5core.plugins.registry import Registry
from p5core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from p5core.training.defaults import choose_device, choose_precision
from p5core.training.loop import Follower, Moments, Stage, train_stage

__all__ = ["StageData", "fit", "make_fabric", "make_stage", "make_tasks"]


@dataclass(frozen=True, eq=False)
class StageData:
    """The data that one stage trains and validates on."""

    dataset: Dataset
    split: Split


def make_fabric(device: str, precision: Any) -> Fabric:
    """Build it for a device and a precision, either of which may be "auto"; raises ConfigError for a missing device."""
    device = choose_device(device)
    precision = choose_precision(device)[0] if precision == "auto" else precision
    kind, _, number = device.partition(":")
    arithmetic = Precision() if precision == "32-true" else MixedPrecision(precision, kind)
    try:
        return Fabric(accelerator=kind, devices=[int(number)] if number else 1, plugins=arithmetic)
    except (ValueError, RuntimeError) as error:
        fault = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"device = '{device}' cannot be used: {fault} Choose 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from None


def make_tasks(stage: StageConfig, registry: Registry) -> list[Task]:
    """Build the tasks of a stage with their losses."""
    tasks = []
    for spec in stage.tasks:
        where = f"stages.{stage.name}.tasks.{spec.name}"
        loss = registry.choose("loss", spec.loss, f"{where}.loss").build()
        tasks.append(registry.choose("task", spec, where).build(loss))
    return tasks


def fit(
    network: Network,
    experiment: Experiment,
    registry: Registry,
    stages_data: Sequence[StageData],
    evaluators: Sequence[tuple[Evaluator, Metric]],
    folder: Path,
    follower: Follower,
) -> float:
    """Train every stage, or go on from `folder`'s last checkpoint; returns the seconds it took.

    `evaluators` holds, for each stage, who validates and the metric to watch.
    """
    fabric = make_fabric(experiment.device, experiment.precision)
    torch.manual_seed(experiment.seed)
    progress, moments = _start(network, folder)
    if progress != Progress():
        follower.event("resume", finished=progress.stage, epoch=progress.epoch)
    for index in range(progress.stage, len(experiment.stages)):
        stage_data = stages_data[index]
        if index > 0 and progress.epoch == progress.batch == 0 and stage_data is not stages_data[index - 1]:
            _start_new_items(network, stages_data, index)
        count_items(network, stage_data.split.train)
        stage = make_stage(experiment, registry, stage_data, evaluators[index], folder, index)
        progress = train_stage(network, stage, fabric, follower, progress, moments)
        save_checkpoint(stage.last, network, None, progress)
        moments = None
        follower.event("stage", stage=stage.config.name, finished=index + 1, train_seconds=progress.seconds)
    count_items(network, stages_data[-1].split.train)
    return progress.seconds


def _start(network: Network, folder: Path) -> tuple[Progress, Moments | None]:
    last = folder / "last.safetensors"
    if not last.exists():
        return Progress(), None
    weights, moments, progress = load_checkpoint(last)
    network.load_state_dict(weights)
    return progress, moments


def make_stage(
    experiment: Experiment,
    registry: Registry,
    stage_data: StageData,
    evaluator: tuple[Evaluator, Metric],
    folder: Path,
    index: int,
) -> Stage:
    """One stage with its tasks, data and who validates; checkpoints go to `folder`."""
    config = experiment.stages[index]
    backbone = registry.get("backbone", experiment.model.backbone.name)
    return Stage(
        index=index,
        config=config,
        tasks=make_tasks(config, registry),
        data=TrainingData(stage_data.split.train, backbone, experiment.model.max_length, config.token_budget),
        validate=evaluator[0].validate,
        watch=evaluator[1].label,
        higher_is_better=evaluator[1].higher_is_better,
        seed=experiment.seed,
        folder=folder,
    )


def _start_new_items(network: Network, stages_data: Sequence[StageData], index: int) -> None:
    """Items that no earlier stage trained start from the mean of those that were."""
    trained = _occurs(stages_data[:index], len(stages_data[index].dataset.catalogue))
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    labels = dict(network.row_labels())
    items = stages_data[index].dataset.catalogue.labels
    for name, rows in labels.items():
        if rows == items:
            labels[name] = [label for label, known in zip(rows, trained, strict=True) if known]
            weights[name] = weights[name][torch.from_numpy(trained)]
    warm_start(network, weights, labels)


def _occurs(stages_data: Sequence[StageData], n_items: int) -> npt.NDArray[np.bool_]:
    """(V,) True for items with training events in any of the stages."""
    counts = sum(np.bincount(one.split.train.items, minlength=n_items) for one in stages_data)
    return np.asarray(counts) > 0
