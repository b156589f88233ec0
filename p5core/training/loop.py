"""One stage: what it trains on, and one visible loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor, nn

from p5core.config.experiment import StageConfig
from p5core.contracts.task import Task, TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows
from p5core.errors import TrainingError
from p5core.model.network import Network
from p5core.system.files import write_tensors
from p5core.training.checkpoint import Progress, save_checkpoint
from p5core.training.optimiser import build_optimiser, build_schedule, clip_norm

__all__ = ["Follower", "Moments", "Stage", "StopRequestedError", "Validation", "step_seconds", "train_stage"]

SECONDS_BETWEEN_CHECKPOINTS = 30.0
SECONDS_BETWEEN_EVENTS = 0.5

Validation = Callable[[Network], Mapping[str, float]]
"""Measures the network on held-out events: metric label → value."""

Moments = Mapping[int, Mapping[str, Any]]
"""What the optimiser remembers, by number of the parameter."""


class StopRequestedError(Exception):
    """Training was asked to stop and has saved where it stands."""


class Follower(Protocol):
    """Who is told how training goes, and who may ask it to stop."""

    def event(self, kind: str, **figures: Any) -> None:
        """Take figures of the run."""

    def stop_requested(self) -> bool:
        """True when training should save and stop."""


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage needs."""

    index: int
    config: StageConfig
    tasks: Sequence[Task]
    data: TrainingData
    validate: Validation
    watch: str
    higher_is_better: bool
    seed: int
    folder: Path
    """where checkpoints are kept"""

    @property
    def best(self) -> Path:
        """Weights of the best validation so far."""
        return self.folder / f"best-{self.index}.safetensors"

    @property
    def last(self) -> Path:
        """Where a stopped run goes on, whatever its stage."""
        return self.folder / "last.safetensors"

    def rng(self, *place: int) -> np.random.Generator:
        """The generator of one place in the stage, such as (epoch, task, batch): no state to save."""
        return np.random.default_rng([self.seed, self.index, *place])


def train_stage(
    network: Network,
    stage: Stage,
    fabric: Fabric,
    follower: Follower,
    progress: Progress,
    moments: Moments | None = None,
) -> Progress:
    """Train one stage from `progress` on, then put its best weights into the network.

    Raises StopRequestedError after saving when the follower asks for it, TrainingError when the loss is not finite.
    """
    loop = _Loop(network, stage, fabric, follower, progress, moments)
    while loop.progress.epoch < stage.config.epochs and not loop.is_out_of_patience():
        loop.train_epoch()
        if loop.progress.epoch % stage.config.validate_every == 0 or loop.progress.epoch == stage.config.epochs:
            loop.validate()
        loop.stop_if_requested()
        loop.save(at_least_every=SECONDS_BETWEEN_CHECKPOINTS)
    if loop.progress.epoch < stage.config.epochs:
        follower.event("early_stop", stage=stage.config.name, epoch=loop.progress.epoch)
    network.load_state_dict(load_file(stage.best))
    return loop.timed().next_stage()


def step_seconds(network: Network, stage: Stage, fabric: Fabric, n: int) -> tuple[float, int]:
    """Seconds of one optimiser step, measured on `n` that change the network, and how many steps the stage takes."""
    loop = _Loop(network, stage, fabric, _Nobody(), Progress(), None)
    loop.module.train()
    plans, seconds = loop.plans(0), []
    for nth in range(n + 1):
        began = time.perf_counter()
        loop.train_step([loop.batches(plans, nth % loop.n_batches)])
        seconds.append(time.perf_counter() - began)
    accumulated = stage.config.optimiser.accumulate
    n_steps = -(-loop.n_batches // accumulated) * stage.config.epochs
    return float(np.mean(seconds[1:])) * accumulated, n_steps  # the first one allocates what the others use again


class _Nobody:
    """Follows nothing and never asks to stop."""

    def event(self, kind: str, **figures: Any) -> None:
        """Nothing is kept."""

    def stop_requested(self) -> bool:
        return False


class _Objective(nn.Module):
    """The weighted sum of the task losses as one module, so that Fabric can put precision and devices around it."""

    def __init__(self, network: Network, stage: Stage) -> None:
        super().__init__()
        self.network = network
        self._tasks = list(zip(stage.tasks, (spec.weight for spec in stage.config.tasks), strict=True))

    def forward(self, batches: list[dict[str, Tensor]], shares: list[float]) -> Tensor:
        losses = [
            weight * share * task.loss(self.network, Batch(**tensors))
            for (task, weight), tensors, share in zip(self._tasks, batches, shares, strict=True)
        ]
        return torch.stack(losses).sum()


class _Loop:
    """The state of a stage while it trains."""

    def __init__(
        self,
        network: Network,
        stage: Stage,
        fabric: Fabric,
        follower: Follower,
        progress: Progress,
        moments: Moments | None,
    ) -> None:
        self.stage, self.fabric, self.follower, self.progress = stage, fabric, follower, progress
        self.network = network
        optimiser = build_optimiser(network, stage.config.optimiser)
        if moments:
            optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        self.module, self.optimiser = fabric.setup(_Objective(network, stage), optimiser)
        self.n_batches = max(len(plan) for plan in self.plans(0))
        n_steps = -(-self.n_batches // stage.config.optimiser.accumulate) * stage.config.epochs
        self.schedule = build_schedule(optimiser, stage.config.optimiser, n_steps, progress.step)
        self.saved_at = self.told_at = self.began_at = time.monotonic()
        self.share_at_begin = self.share_done()
        self.losses: list[Tensor] = []
        self.epoch_losses: list[float] = []
        self.n_events = 0

    def plans(self, epoch: int) -> list[Sequence[Rows]]:
        return [task.plan(self.stage.data, self.stage.rng(epoch, nth)) for nth, task in enumerate(self.stage.tasks)]

    def train_epoch(self) -> None:
        plans = self.plans(self.progress.epoch)
        self.module.train()
        while self.progress.batch < self.n_batches:
            last = min(self.progress.batch + self.stage.config.optimiser.accumulate, self.n_batches)
            self.train_step([self.batches(plans, nth) for nth in range(self.progress.batch, last)])
            self.tell()
            if self.progress.batch < self.n_batches:  # an epoch that is through is validated before it stops
                self.stop_if_requested()
        self.progress = self.progress.next_epoch()

    def is_out_of_patience(self) -> bool:
        return 0 < self.stage.config.patience <= self.progress.n_worse

    def stop_if_requested(self) -> None:
        if self.follower.stop_requested():
            self.save()
            raise StopRequestedError

    def batches(self, plans: list[Sequence[Rows]], nth: int) -> list[Batch]:
        """One batch of each task; a task with a shorter plan starts over."""
        place = (self.progress.epoch, nth)
        return [
            task.batch(self.stage.data, plan[nth % len(plan)], self.stage.rng(*place, which)).to(self.fabric.device)
            for which, (task, plan) in enumerate(zip(self.stage.tasks, plans, strict=True))
        ]

    def train_step(self, group: list[list[Batch]]) -> None:
        """One optimiser step over a group of batches, each weighted by its targets: as if they were one batch."""
        targets = torch.tensor([[int((one.targets != NO_TARGET).sum()) for one in batches] for batches in group])
        shares = (targets / targets.sum(dim=0)).tolist()
        total = torch.zeros((), device=self.fabric.device)
        for nth, batches in enumerate(group):
            with self.fabric.no_backward_sync(self.module, enabled=nth < len(group) - 1):
                loss = self.module([_tensors(batch) for batch in batches], shares[nth])
                self.fabric.backward(loss)
            total += loss.detach()
        clip_norm(self.module.parameters(), self.stage.config.optimiser.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.schedule.step()
        self.losses.append(total)
        self.n_events += int(targets.sum())
        self.progress = self.progress.next_batch(len(group))

    def tell(self) -> None:
        now = time.monotonic()
        if now - self.told_at < SECONDS_BETWEEN_EVENTS:
            return
        done = self.share_done()
        self.follower.event(
            "step",
            stage=self.stage.config.name,
            epoch=self.progress.epoch + 1,
            step=self.progress.step,
            loss=self.recent_loss(),
            learning_rate=self.optimiser.param_groups[0]["lr"],
            events_per_second=self.n_events / (now - self.told_at),
            share=done,
            eta_seconds=(now - self.began_at) * (1 - done) / max(done - self.share_at_begin, 1e-9),
        )
        self.told_at, self.n_events = now, 0

    def recent_loss(self) -> float:
        """Mean loss of the steps since it was last asked for; raises TrainingError when it is not finite."""
        found = torch.stack(self.losses).tolist() if self.losses else []
        self.losses = []
        self.epoch_losses += found
        mean = float(np.mean(found)) if found else self.epoch_losses[-1]
        if not np.isfinite(mean):
            raise TrainingError(
                f"The loss is {mean} at step {self.progress.step} of stage '{self.stage.config.name}'. "
                "Lower optimiser.learning_rate or optimiser.clip_norm; the last checkpoint is kept."
            )
        return mean

    def share_done(self) -> float:
        return (self.progress.epoch + self.progress.batch / self.n_batches) / self.stage.config.epochs

    def validate(self) -> None:
        self.recent_loss()
        loss, self.epoch_losses = float(np.mean(self.epoch_losses)), []
        figures = self.stage.validate(self.network)
        value = figures[self.stage.watch] * (1 if self.stage.higher_is_better else -1)
        if np.isnan(value) and self.progress.best is None:
            raise TrainingError(
                f"The metric that stage '{self.stage.config.name}' watches, '{self.stage.watch}', is NaN on validation "
                "events, so it cannot choose an epoch. Set 'watch' to another metric."
            )
        is_best = self.progress.best is None or value > self.progress.best  # never for NaN
        if is_best:
            write_tensors(self.stage.best, self.network.state_dict())
        self.progress = replace(
            self.progress,
            best=value if is_best else self.progress.best,
            n_worse=0 if is_best else self.progress.n_worse + 1,
        )
        self.follower.event(
            "validation",
            stage=self.stage.config.name,
            epoch=self.progress.epoch,
            step=self.progress.step,
            loss=loss,
            best=is_best,
            share=self.share_done(),
            **figures,
        )

    def timed(self) -> Progress:
        """The progress with the time of this process added."""
        return replace(self.progress, seconds=self.progress.seconds + time.monotonic() - self.began_at)

    def save(self, at_least_every: float = 0.0) -> None:
        if time.monotonic() - self.saved_at < at_least_every:
            return
        save_checkpoint(self.stage.last, self.network, self.optimiser.optimizer, self.timed())
        self.saved_at = time.monotonic()


def _tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: cast(Tensor, value) for name, value in vars(batch).items() if value is not None}
