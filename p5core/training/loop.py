"""One stage of training: its data, and one visible loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from p5core.config.experiment import StageConfig
from p5core.contracts.task import SolvedTask, Task
from p5core.contracts.tracker import EarlyStopEvent, RunEvent, StepEvent, ValidationEvent
from p5core.data.batch import Batch
from p5core.errors import TrainingError
from p5core.model.network import Network
from p5core.training.checkpoint import Progress, load_weights, random_state, save_checkpoint, save_weights
from p5core.training.engine import Engine
from p5core.training.modules import apply_freeze, check_modules, learning_rate_factors
from p5core.training.optimiser import build_optimiser, clip_norm, set_learning_rate
from p5core.training.sources import Plan, Sources

__all__ = ["Callback", "Moments", "Silent", "Stage", "StopRequestedError", "Validation", "step_seconds", "train_stage"]

SECONDS_BETWEEN_CHECKPOINTS = 30.0
SECONDS_BETWEEN_EVENTS = 0.5

Validation = Callable[[Network], Mapping[str, float]]
"""Measures the network on held-out events: metric label → value."""

Moments = Mapping[int, Mapping[str, Any]]
"""State of the optimiser, by number of the parameter."""


class StopRequestedError(Exception):
    """Training was asked to stop and has saved its progress."""


class Callback(Protocol):
    """Receives the events of training, and may ask it to stop."""

    def event(self, event: RunEvent) -> None:
        """Take one event."""

    def stop_requested(self) -> bool:
        """True when training should save and stop."""


class Silent:
    """A callback that ignores events and never stops training."""

    def event(self, event: RunEvent) -> None:
        """Keep nothing."""

    def stop_requested(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, eq=False)
class Stage:
    """The tasks, data and validation of one stage."""

    index: int
    config: StageConfig
    tasks: Sequence[Task]
    sources: Sources
    validate: Validation | None
    """None: the last epoch is kept"""
    watch: str
    higher_is_better: bool
    seed: int
    folder: Path
    """folder of checkpoints"""
    starts_trained: bool = False
    """True if its first weights may be the best ones: those of another stage or run, or the neighbours of content"""
    last_epoch: int | None = None
    """epoch after which training ends, while the learning rate falls as the configuration says"""

    @property
    def n_epochs(self) -> int:
        """Number of epochs that are trained at most."""
        return self.config.epochs if self.last_epoch is None else self.last_epoch

    @property
    def best(self) -> Path:
        """Weights of the best validation so far."""
        return self.folder / f"best-{self.index}.safetensors"

    @property
    def last(self) -> Path:
        """Checkpoint from which a stopped run goes on, whatever its stage."""
        return self.folder / "last.safetensors"

    def rng(self, *place: int) -> np.random.Generator:
        """The random generator of one place in the stage, such as (epoch, task, batch); it has no state to save."""
        return np.random.default_rng([self.seed, self.index, *place])

    def plans(self, epoch: int) -> list[Plan]:
        """The batches of each task in one epoch; raises TrainingError when a task plans none."""
        return [self.sources.plan(task, self.rng(epoch, nth)) for nth, task in enumerate(self.tasks)]

    def batches(self, plans: Sequence[Plan], epoch: int, nth: int) -> list[Batch]:
        """One batch of each task; a task with a shorter plan starts over."""
        return [
            self.sources.batch(task, plan[nth % len(plan)], self.rng(epoch, nth, which))
            for which, (task, plan) in enumerate(zip(self.tasks, plans, strict=True))
        ]


def train_stage(
    network: Network,
    stage: Stage,
    engine: Engine,
    callback: Callback,
    progress: Progress,
    moments: Moments | None = None,
) -> Progress:
    """Train one stage from `progress` on, then put its best weights into the network.

    Raises StopRequestedError after saving when the callback asks for it, TrainingError when the loss is not finite.
    """
    loop = _Loop(network, stage, engine, callback, progress, moments)
    if progress.epoch == progress.batch == 0 and (stage.starts_trained or not stage.n_epochs):
        loop.compare(float("nan"))
    while loop.progress.epoch < stage.n_epochs and not loop.is_out_of_patience():
        loop.train_epoch()
        if loop.progress.epoch % stage.config.validate_every == 0 or loop.progress.epoch == stage.n_epochs:
            loop.validate()
        loop.save_if_due()
    if loop.progress.epoch < stage.n_epochs:
        loop.tell(EarlyStopEvent(stage.config.name, loop.progress.epoch))
    engine.any(False)  # the first process has written the best weights
    load_weights(stage.best, network)
    return loop.timed().next_stage()


def step_seconds(network: Network, stage: Stage, engine: Engine, n: int) -> tuple[float, int]:
    """Seconds of one optimiser step, measured on `n` that change the network, and the number of steps of the stage."""
    loop = _Loop(network, stage, engine, Silent(), Progress(), None)
    loop.module.train()
    plans, seconds = stage.plans(0), []
    for nth in range(n + 1):
        began = time.perf_counter()
        loop.train_step([loop.moved(stage.batches(plans, 0, nth % loop.n_batches))])
        seconds.append(time.perf_counter() - began)
    accumulated = stage.config.optimiser.accumulate
    n_steps = -(-loop.n_batches // accumulated) * stage.config.epochs
    return float(np.mean(seconds[1:])) * accumulated, n_steps  # the first one allocates what the others use again


@dataclass(frozen=True, eq=False)
class _Group:
    """Batches of all tasks whose gradients are added up, each with its share of the targets of its task."""

    batches: Sequence[Batch]
    shares: Sequence[float]

    def __iter__(self) -> Iterator[tuple[Batch, float]]:
        return iter(zip(self.batches, self.shares, strict=True))


class _Opaque:
    """Hides a value from libraries that would copy or convert what they find in it."""

    def __init__(self, value: _Group) -> None:
        self.value = value


class _Objective(nn.Module):
    """The weighted sum of the task losses as one module, so that the engine can put devices and precision around it."""

    def __init__(self, network: Network, stage: Stage) -> None:
        super().__init__()
        self.network = network
        self._tasks = list(zip(stage.tasks, (spec.weight for spec in stage.config.tasks), strict=True))

    def forward(self, group: _Opaque) -> Tensor:
        losses = [
            weight * share * task.loss(self.network, batch)
            for (task, weight), (batch, share) in zip(self._tasks, group.value, strict=True)
        ]
        return torch.stack(losses).sum()


class _Loop:
    """The state of a stage while it trains."""

    def __init__(
        self,
        network: Network,
        stage: Stage,
        engine: Engine,
        callback: Callback,
        progress: Progress,
        moments: Moments | None,
    ) -> None:
        self.stage, self.engine, self.callback, self.progress = stage, engine, callback, progress
        self.network = network
        options = stage.config.optimiser
        check_modules(network, stage.config, f"stages.{stage.index}")
        apply_freeze(network, stage.config)
        factors = learning_rate_factors(network, stage.config)
        self.module, self.optimiser = engine.setup(
            _Objective(network, stage), lambda module: build_optimiser(module, options, factors), moments
        )
        self.first_epoch_batches = self.n_batches = len(self.own_places(stage.plans(0)))
        self.saved_at = self.told_at = self.began_at = time.monotonic()
        self.share_at_begin = self.share_done()
        self.losses: list[Tensor] = []
        self.epoch_losses: list[float] = []
        self.n_targets = 0

    def own_places(self, plans: Sequence[Plan]) -> list[int]:
        """The batches of an epoch that this process trains on."""
        return self.engine.shard(max(len(plan) for plan in plans))

    def train_epoch(self) -> None:
        epoch = self.progress.epoch
        plans = self.stage.plans(epoch)
        places = self.own_places(plans)
        self.n_batches = len(places)
        self.module.train()
        size = self.stage.config.optimiser.accumulate
        group: list[list[Batch]] = []
        loaded = self.engine.prefetched(
            places[self.progress.batch :], lambda nth: self.stage.batches(plans, epoch, nth)
        )
        for batches in loaded:
            group.append(batches)
            if len(group) < size and self.progress.batch + len(group) < self.n_batches:
                continue
            self.train_step(group)
            group = []
            self.tell_step()
            if self.progress.batch < self.n_batches:  # an epoch that is through is validated before it stops
                self.save_if_due()
        self.progress = self.progress.next_epoch()

    def is_out_of_patience(self) -> bool:
        return 0 < self.stage.config.patience <= self.progress.n_worse

    def save_if_due(self) -> None:
        """Save from time to time, and when training is asked to stop; raises StopRequestedError then."""
        is_asked = self.callback.stop_requested()
        is_due = time.monotonic() - self.saved_at >= SECONDS_BETWEEN_CHECKPOINTS
        if self.engine.any(is_asked or is_due):
            self.save()
            if self.engine.any(is_asked):
                raise StopRequestedError

    def moved(self, batches: list[Batch]) -> list[Batch]:
        return [batch.to(self.engine.device) for batch in batches]

    def train_step(self, groups: list[list[Batch]]) -> None:
        """One step over some batches: of the optimiser, or an epoch of a task that fits the network itself."""
        task = self.stage.tasks[0]
        if isinstance(task, SolvedTask):
            self.solve(task)
        else:
            self.descend(groups)
        self.progress = self.progress.next_batch(len(groups))

    def solve(self, task: SolvedTask) -> None:
        epoch, stage = self.progress.epoch, self.stage
        (data,) = stage.sources.data
        loss = task.update(self.network, data, epoch, stage.config.epochs, stage.rng(epoch, 0, 0))
        self.losses.append(torch.tensor(loss))
        self.n_targets += len(data.events)

    def descend(self, groups: list[list[Batch]]) -> None:
        """One optimiser step over some batches, each weighted by its targets: as if they were one batch."""
        targets = torch.tensor([[batch.n_targets for batch in batches] for batches in groups])
        of_all = self.engine.sum(targets.sum(dim=0))
        shares = (targets * self.engine.world_size / of_all).tolist()
        total = torch.zeros((), device=self.engine.device)
        for nth, batches in enumerate(groups):
            with self.engine.accumulating(self.module, enabled=nth < len(groups) - 1):
                loss = self.module(_Opaque(_Group(batches, shares[nth])))
                self.engine.backward(loss)
            total += loss.detach()
        clip_norm(self.module.parameters(), self.stage.config.optimiser.clip_norm)
        set_learning_rate(self.optimiser, self.stage.config.optimiser, self.position(), self.n_steps())
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.losses.append(total)
        self.n_targets += int(of_all.sum())

    def steps_of_epoch(self, n_batches: int) -> int:
        return -(-n_batches // self.stage.config.optimiser.accumulate)

    def n_steps(self) -> int:
        """Steps of the stage, if all epochs were as long as the first."""
        return self.steps_of_epoch(self.first_epoch_batches) * self.stage.config.epochs

    def position(self) -> float:
        """Steps that are made, an epoch counting as many as the first one whatever its length."""
        first = self.steps_of_epoch(self.first_epoch_batches)
        done = self.steps_of_epoch(self.progress.batch)
        return self.progress.epoch * first + done * first / self.steps_of_epoch(self.n_batches)

    def tell(self, event: RunEvent) -> None:
        if self.engine.is_first:
            self.callback.event(event)

    def tell_step(self) -> None:
        now = time.monotonic()
        if now - self.told_at < SECONDS_BETWEEN_EVENTS or not self.engine.is_first:
            return
        done = self.share_done()
        self.tell(
            StepEvent(
                stage=self.stage.config.name,
                epoch=self.progress.epoch + 1,
                step=self.progress.step,
                loss=self.recent_loss(),
                learning_rate=self.optimiser.param_groups[0]["lr"],
                events_per_second=self.n_targets / (now - self.told_at),
                share=done,
                eta_seconds=(now - self.began_at) * (1 - done) / max(done - self.share_at_begin, 1e-9),
            )
        )
        self.told_at, self.n_targets = now, 0

    def recent_loss(self) -> float:
        """Mean loss of the steps since it was last asked for; raises TrainingError when it is not finite."""
        losses = torch.stack(self.losses).tolist() if self.losses else []
        self.losses = []
        self.epoch_losses += losses
        mean = float(np.mean(losses)) if losses else self.epoch_losses[-1]
        if not np.isfinite(mean):
            raise TrainingError(
                f"The loss is {mean} at step {self.progress.step} of stage '{self.stage.config.name}'. "
                "Lower optimiser.learning_rate or optimiser.clip_norm; the last checkpoint is kept."
            )
        return mean

    def share_done(self) -> float:
        return (self.progress.epoch + self.progress.batch / self.n_batches) / max(1, self.stage.n_epochs)

    def validate(self) -> None:
        self.recent_loss()
        loss, self.epoch_losses = float(np.mean(self.epoch_losses)), []
        self.compare(loss)

    def compare(self, loss: float) -> None:
        """Measure the weights as they are on validation events, and save them if they are the best so far."""
        measure = self.stage.validate
        if measure is None:
            if self.engine.is_first:
                save_weights(self.stage.best, self.network)
            return
        metrics = self.engine.from_first(lambda: dict(measure(self.network)))
        value = metrics[self.stage.watch] * (1 if self.stage.higher_is_better else -1)
        if np.isnan(value) and self.progress.best is None:
            if self.progress.epoch == 0:  # of weights that have not been trained yet
                return
            raise TrainingError(
                f"The metric that stage '{self.stage.config.name}' watches, '{self.stage.watch}', is NaN on validation "
                "events, so it cannot choose an epoch. Set 'watch' to another metric."
            )
        is_best = self.progress.best is None or value > self.progress.best  # never for NaN
        if is_best and self.engine.is_first:
            save_weights(self.stage.best, self.network)
        self.progress = replace(
            self.progress,
            best=value if is_best else self.progress.best,
            n_worse=0 if is_best else self.progress.n_worse + 1,
        )
        place = (self.stage.config.name, self.progress.epoch, self.progress.step)
        self.tell(ValidationEvent(*place, loss=loss, is_best=is_best, share=self.share_done(), metrics=metrics))

    def timed(self) -> Progress:
        """The progress with the time of this process added."""
        return replace(self.progress, seconds=self.progress.seconds + time.monotonic() - self.began_at)

    def save(self) -> None:
        if self.losses:
            self.recent_loss()  # weights of a loss that is not finite are no progress
        states = self.engine.gather(random_state())
        if self.engine.is_first:
            plain = getattr(self.optimiser, "optimizer", self.optimiser)
            save_checkpoint(self.stage.last, self.network, plain, self.timed(), states)
        self.saved_at = time.monotonic()
