"""What a run will take on this machine, measured on a few of its own batches."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from p5core.config.experiment import Experiment
from p5core.contracts.loss import Loss
from p5core.contracts.metric import Metric
from p5core.errors import ConfigError
from p5core.evaluation.evaluator import Evaluator
from p5core.model.network import Network
from p5core.plugins.registry import Registry
from p5core.training.loop import step_seconds
from p5core.training.stages import StageData, make_fabric, make_stage

__all__ = ["Estimate", "estimate", "refuse_too_large"]

PROBED_STEPS = 4
PROBED_USERS = 256
BLENDED = 4
"""Validations that choosing the mixture of network and memory is worth, about."""

TRAINED_BYTES = 3 * 4
"""Of each weight while it is trained: its gradient and two moments of Adam, in float32."""


@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run, blending and evaluation included."""

    n_parameters: int
    n_steps: int
    """optimiser steps, if no stage stops early"""
    phases: tuple[float, ...]
    """seconds of each stage with its validations, and of what comes after the last one"""
    memory: int
    """bytes that this process will hold at its peak"""
    free: int
    """bytes of memory that nobody uses now"""

    @property
    def seconds(self) -> float:
        """Time of everything."""
        return sum(self.phases)

    @property
    def sentence(self) -> str:
        """The estimate for people."""
        took = f"{self.seconds / 60:.0f} min" if self.seconds >= 100 else f"{self.seconds:.0f} s"
        return (
            f"Estimate for this machine, measured on {PROBED_STEPS} steps: at most {took} for {self.n_steps:,} steps, "
            f"{self.memory / 2**30:.1f} GB of memory ({self.free / 2**30:.1f} GB are free); "
            f"{self.n_parameters:,} weights."
        )


def estimate(
    network: Network,
    experiment: Experiment,
    registry: Registry,
    stages_data: Sequence[StageData],
    evaluators: Sequence[tuple[Evaluator, Metric]],
) -> Estimate:
    """Make a few steps and rank a few users with a copy of the network; neither it nor random states change.

    Raises ConfigError for a loss whose scores cannot fit into memory.
    """
    refuse_too_large(experiment, registry, stages_data)
    free = psutil.virtual_memory().available
    phases, n_steps, of_one_user = [], 0, 0.0
    with torch.random.fork_rng():
        probe = copy.deepcopy(network)
        for index, stage_data in enumerate(stages_data):
            stage = make_stage(experiment, registry, stage_data, evaluators[index], Path(), index)
            fabric = make_fabric(experiment.device, experiment.precision)
            each, steps = step_seconds(probe, stage, fabric, PROBED_STEPS)
            n_validations = -(-stage.config.epochs // stage.config.validate_every)
            of_one_user = _validation_seconds(probe, evaluators[index][0])
            phases.append(each * steps + n_validations * of_one_user * len(evaluators[index][0].holdout))
            n_steps += steps
    split, n_scorers = stages_data[-1].split, 1 + len(experiment.evaluate.baselines)
    n_rankings = n_scorers * (len(split.validation) + len(split.test))
    n_rankings += 0 if network.memory is None else BLENDED * len(split.validation)
    n_parameters = sum(one.numel() for one in network.parameters())
    memory = psutil.Process().memory_info().rss + TRAINED_BYTES * n_parameters
    return Estimate(n_parameters, n_steps, (*phases, of_one_user * n_rankings), memory, free)


def _validation_seconds(network: Network, evaluator: Evaluator) -> float:
    """Of one user."""
    users = evaluator.holdout.sample(PROBED_USERS, np.random.default_rng(0))
    began = time.perf_counter()
    evaluator.of(users).validate(network)
    return (time.perf_counter() - began) / max(1, len(users))


def refuse_too_large(experiment: Experiment, registry: Registry, stages_data: Sequence[StageData]) -> None:
    """Raise ConfigError for a loss that would hold more scores at once than there is free memory."""
    free = psutil.virtual_memory().available
    for stage, stage_data in zip(experiment.stages, stages_data, strict=True):
        for task in stage.tasks:
            loss: Loss = registry.choose("loss", task.loss).build()
            wanted = loss.score_bytes(stage.token_budget, stage_data.dataset.n_items)
            if wanted > free:
                raise ConfigError(
                    f"Loss '{task.loss.name}' of stage '{stage.name}' would hold {wanted / 2**30:.1f} GB of scores at "
                    f"once ({stage.token_budget:,} positions × {stage_data.dataset.n_items:,} items), and "
                    f"{free / 2**30:.1f} GB are free. Choose 'sampled_softmax', or a smaller token_budget."
                )
