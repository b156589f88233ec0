"""Time and memory of a run on this machine, measured on a few of its own batches."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from p5core.config.base import AUTO
from p5core.config.experiment import Experiment, StageConfig
from p5core.contracts.loss import Loss
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError
from p5core.model.network import Network
from p5core.plugins.registry import Registry
from p5core.training.engine import Engine
from p5core.training.loop import step_seconds
from p5core.training.stages import StageData, StageEvaluator, make_stage

__all__ = ["Estimate", "estimate", "refuse_too_large"]

PROBED_STEPS = 4
PROBED_USERS = 256
BLENDED = 4
"""Cost of choosing a blend, in validations."""

SAVED_COPIES = 3
"""Arrays of the size of the weights in a checkpoint: they and two moments of Adam."""

TRAINED_BYTES = 3 * 4
"""Bytes per weight in training: its gradient and two moments of Adam, in float32."""


@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run, blending and evaluation included."""

    n_parameters: int
    n_steps: int
    """optimiser steps, if no stage stops early"""
    phases: tuple[float, ...]
    """seconds of short trainings if there are any, of each stage with its validations, and of what comes after"""
    memory: int
    """bytes that this process will hold at its peak, on the device that trains"""
    free: int
    """free memory in bytes"""
    disk: int = 0
    """bytes of data, checkpoints and weights on the disk"""
    free_disk: int = 0
    """free bytes of the disk"""

    @property
    def seconds(self) -> float:
        """Total time in seconds."""
        return sum(self.phases)

    def with_trials(self, share: float) -> Estimate:
        """The estimate with short trainings before, which take this multiple of the time of all stages."""
        stages = sum(self.phases[:-1])
        return replace(self, phases=(share * stages, *self.phases)) if share else self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the sentence."""
        return {**asdict(self), "seconds": self.seconds, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The estimate as a sentence."""
        if not self.n_steps:
            return f"No network is trained; the scorers are fitted to all events. {self.free / 2**30:.1f} GB are free."
        took = f"{self.seconds / 60:.0f} min" if self.seconds >= 100 else f"{self.seconds:.0f} s"
        return (
            f"Estimate for this machine, measured on {PROBED_STEPS} steps: at most {took} for {self.n_steps:,} steps, "
            f"{self.memory / 2**30:.1f} GB of memory ({self.free / 2**30:.1f} GB are free); "
            f"{self.n_parameters:,} weights."
        )

    @property
    def disk_warning(self) -> str | None:
        """A sentence when the run may fill the disk."""
        if self.disk < self.free_disk:
            return None
        return (
            f"Warning: the run will write up to {self.disk / 2**20:,.0f} MB, and {self.free_disk / 2**20:,.0f} MB are "
            "free. Free some space, or choose another folder with --runs."
        )


def estimate(
    network: Network,
    experiment: Experiment,
    registry: Registry,
    target: StageData,
    stages_data: Sequence[Sequence[StageData]],
    evaluators: Sequence[StageEvaluator],
    engine: Engine,
    folder: Path,
) -> Estimate:
    """Make a few steps and rank a few users with a copy of the network; neither it nor random states change.

    Raises ConfigError for a loss whose scores cannot fit into memory.
    """
    refuse_too_large(experiment, registry, target.dataset, engine)
    free = engine.free_memory()
    phases, n_steps, of_one_user = [], 0, 0.0
    with torch.random.fork_rng():
        probe = copy.deepcopy(network)
        for index, stage_data in enumerate(stages_data):
            if experiment.model.scorer is not None:
                of_one_user = _validation_seconds(probe, evaluators[index])
                phases.append(0.0)
                continue
            stage = make_stage(probe, experiment, registry, stage_data, evaluators[index], Path(), index)
            each, steps = step_seconds(probe, stage, engine, PROBED_STEPS)
            n_validations = -(-stage.config.epochs // stage.config.validate_every)
            of_one_user = _validation_seconds(probe, evaluators[index])
            phases.append(each * steps + n_validations * of_one_user * evaluators[index].n_users)
            n_steps += steps
    split, n_scorers = target.split, 1 + len(experiment.evaluate.baselines)
    n_rankings = n_scorers * (len(split.validation) + len(split.test))
    n_rankings += BLENDED * len(experiment.model.scorers) * len(split.validation)
    n_parameters = sum(weight.numel() for weight in network.parameters())
    memory = engine.used_memory() + TRAINED_BYTES * n_parameters
    disk, free_disk = _bytes_written(network, stages_data), shutil.disk_usage(_existing(folder)).free
    return Estimate(n_parameters, n_steps, (*phases, of_one_user * n_rankings), memory, free, disk, free_disk)


def _bytes_written(network: Network, stages_data: Sequence[Sequence[StageData]]) -> int:
    """Bytes of a run at most: the data, the weights of each stage, and the last checkpoint, written beside the old."""
    data = {id(source): source.dataset for stage_data in stages_data for source in stage_data}
    events = 0
    for dataset in data.values():
        of_fields = sum(array.nbytes for array in dataset.events.fields.values())
        events += dataset.events.offsets.nbytes + dataset.events.items.nbytes + dataset.events.times.nbytes + of_fields
    frames = sum(
        int(frame.memory_usage(deep=True).sum())
        for dataset in data.values()
        for frame in (dataset.catalogue.frame, dataset.user_frame)
    )
    weights: int = sum(value.nbytes for value in network.state_dict().values())
    return events + frames + weights * (len(stages_data) + 1 + 2 * SAVED_COPIES)


def _existing(folder: Path) -> Path:
    """The folder or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def _validation_seconds(network: Network, stage: StageEvaluator) -> float:
    """Seconds of validation per user."""
    sample = stage.sample(PROBED_USERS)
    began = time.perf_counter()
    sample.validate(network)
    return (time.perf_counter() - began) / max(1, sample.n_users)


def refuse_too_large(experiment: Experiment, registry: Registry, dataset: Dataset, engine: Engine) -> None:
    """Raise ConfigError for a loss that would hold more scores at once than there is free memory.

    The catalogue of `dataset` is that of all stages.
    """
    if experiment.model.scorer is not None:
        return
    free = engine.free_memory()
    n_items = dataset.n_items
    for stage in experiment.stages:
        assert isinstance(stage.token_budget, int)
        for task in stage.tasks:
            if task.loss.name == AUTO.name:  # it fits the network by itself
                continue
            loss: Loss = registry.choose("loss", task.loss).build()
            size = loss.score_bytes(stage.token_budget, n_items)
            if size > free:
                smaller = [name for name in _same_kind(registry, loss) if _fits(registry, name, stage, n_items, free)]
                raise ConfigError(
                    f"Loss '{task.loss.name}' of stage '{stage.name}' would hold {size / 2**30:.1f} GB of scores at "
                    f"once ({stage.token_budget:,} positions × {n_items:,} items), and "
                    f"{free / 2**30:.1f} GB are free. Choose a smaller token_budget"
                    + (f", or one of the losses {', '.join(smaller)}." if smaller else ".")
                )


def _same_kind(registry: Registry, loss: Loss) -> list[str]:
    return [name for name, info in registry.parts("loss").items() if getattr(info.part, "kind", "") == loss.kind]


def _fits(registry: Registry, name: str, stage: StageConfig, n_items: int, free: int) -> bool:
    """True if the scores of a loss with default options fit into memory."""
    assert isinstance(stage.token_budget, int)
    loss: Loss = registry.choose("loss", name).build()
    return loss.score_bytes(stage.token_budget, n_items) <= free
