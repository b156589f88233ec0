"""The promises of every task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5core.contracts.part import NoOptions
from p5core.contracts.task import SolvedTask, Task, TrainingData
from p5core.data.batch import NO_TARGET, Batch
from p5core.errors import ConfigError
from p5core.evaluation.metric_results import choose_metrics
from p5core.model.network import Network
from p5core.testing.engine import ENGINE_CHECKS, EXPORT_CHECKS
from p5core.testing.tensors import assert_finite, seeded
from p5core.testing.toys import LOSSES, AllMean, PastMean, UserVector, build_network

if TYPE_CHECKING:
    from p5core.testing.subject import Subject

__all__ = ["CHECKS"]

WIDTH, MAX_LENGTH, TOKEN_BUDGET = 16, 5, 12
OVERFIT_STEPS, OVERFIT_SHARE = 40, 0.7
SOLVED_EPOCHS = 5


def suits_a_backbone(subject: Subject) -> None:
    """`check` accepts at least one kind of backbone, and says no with a ConfigError alone."""
    accepted = [data.backbone.name for _, data in _trials(subject)]
    assert accepted, "`check` refuses causal, bidirectional and user-vector backbones alike."


def metrics_are_installed(subject: Subject) -> None:
    """Every label of `metrics` names an installed metric."""
    assert subject.part.metrics, "`metrics` is empty; its last label steers early stopping."
    choose_metrics(subject.registry, subject.part.metrics)


def batches_are_well_formed(subject: Subject) -> None:
    """Shapes fit, codes are within the catalogue, and targets, where there are any, stand at real positions."""
    for task, data in _trials(subject):
        for batch in _batches(task, data):
            assert isinstance(batch, Batch), f"`batch` returned {type(batch).__name__}; it must return a Batch."
            shape = batch.items.shape
            assert batch.users.shape == batch.lengths.shape == shape[:1], "users and lengths must be (B,)."
            codes = batch.items[batch.real]
            if batch.targets is not None:
                _check_targets(batch, batch.targets)
                codes = torch.cat([codes, batch.targets[batch.targets != NO_TARGET]])
            assert ((codes >= 0) & (codes < subject.world.n_items)).all(), "Item codes must be within the catalogue."


def _check_targets(batch: Batch, targets: Tensor) -> None:
    shape = batch.items.shape
    assert targets.shape == shape, f"targets have shape {tuple(targets.shape)}, items {tuple(shape)}."
    chosen = targets != NO_TARGET
    assert chosen.any(), "A batch holds no target; leave `targets` out of batches of a task that has none."
    assert batch.real[chosen].all(), "A target stands at padding."


def batches_keep_the_budget(subject: Subject) -> None:
    """Positions, padding included, stay within the budget, unless one history alone is longer."""
    for task, data in _trials(subject):
        for batch in _batches(task, data):
            n_rows, width = batch.items.shape
            fits = n_rows == 1 or n_rows * width <= 2 * data.token_budget
            assert fits, f"A batch of {n_rows} × {width} positions exceeds the budget of {data.token_budget}."


def batches_follow_their_generator(subject: Subject) -> None:
    """The same generator gives the same epoch, so that a stopped run goes on exactly."""
    for task, data in _trials(subject):
        first, again = list(_batches(task, data)), list(_batches(task, data))
        same = len(first) == len(again) and all(_equal(*pair) for pair in zip(first, again, strict=True))
        assert same, "The same generator gave two different epochs; draw from the `rng` you are given alone."


def targets_are_hidden(subject: Subject) -> None:
    """The target of a position is not among the items that the backbone may read there."""
    for task, data in _trials(subject):
        if not data.backbone.uses_history:
            continue
        for batch in _batches(task, data):
            if batch.targets is None:
                continue
            place = torch.arange(batch.items.shape[1])
            visible = batch.real if batch.masked is None else batch.real & ~batch.masked
            readable = visible[:, None, :].expand(-1, len(place), -1)  # (B, T, T)
            if data.backbone.causal:
                readable = readable & (place[None, :] <= place[:, None])
            shown = (batch.items[:, None, :] == batch.targets[:, :, None]) & readable
            assert not shown.any(), f"With a '{data.backbone.name}' backbone a target can be read from the history."


def the_loss_is_learnt_from(subject: Subject) -> None:
    """The loss is a finite scalar, and falls on a few batches when they are learnt by heart."""
    for task, data in _trials(subject):
        if isinstance(task, SolvedTask):
            continue
        network = _network(subject, task, data)
        batches = list(_batches(task, data))
        optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
        means = [_epoch(task, network, batches, optimiser) for _ in range(OVERFIT_STEPS)]
        assert means[-1] < OVERFIT_SHARE * means[0], (
            f"{OVERFIT_STEPS} epochs with a '{data.backbone.name}' backbone took the loss only from {means[0]:.3f} "
            f"to {means[-1]:.3f}."
        )


def updates_are_learnt_from(subject: Subject) -> None:
    """A task that fits the network itself lowers its loss, as its generators say and without other memory."""
    for task, data in _trials(subject):
        if not isinstance(task, SolvedTask):
            continue
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network, other = _network(subject, task, data), _network(subject, task, data)
        losses = [_updated(task, network, data, epoch) for epoch in range(SOLVED_EPOCHS)]
        assert np.isfinite(losses).all(), f"`update` returned {losses}; a loss must be a finite number."
        assert losses[-1] < losses[0], (
            f"{SOLVED_EPOCHS} epochs of `update` took the loss from {losses[0]:.3f} to {losses[-1]:.3f}."
        )
        other.load_state_dict(_after(subject, task, data, network.state_dict(), SOLVED_EPOCHS))
        _updated(task, network, data, SOLVED_EPOCHS)
        assert _same_weights(network, other), (
            "An `update` of stored weights by another task gave other weights; keep what the next epoch needs in "
            "`layers`, and draw from the `rng` you are given alone."
        )


def _updated(task: SolvedTask, network: Network, data: TrainingData, epoch: int) -> float:
    return task.update(network, data, epoch, SOLVED_EPOCHS + 1, np.random.default_rng(epoch))


def _after(
    subject: Subject, task: Task, data: TrainingData, weights: Mapping[str, Tensor], epoch: int
) -> dict[str, Tensor]:
    """The weights after one more epoch, by a task and a network that know nothing else."""
    loss = LOSSES[subject.part.loss_kind](NoOptions())
    again = cast("SolvedTask", subject.build(loss))
    network = _network(subject, task, data)
    network.load_state_dict(dict(weights))
    _updated(again, network, data, epoch)
    return network.state_dict()


def _same_weights(first: Network, second: Network) -> bool:
    mine, other = first.state_dict(), second.state_dict()
    return all(torch.equal(mine[name], other[name]) for name in mine)


def _epoch(task: Task, network: Network, batches: list[Batch], optimiser: torch.optim.Optimizer) -> float:
    total = 0.0
    for batch in batches:
        optimiser.zero_grad()
        loss = task.loss(network, batch)
        assert loss.shape == (), f"The loss has shape {tuple(loss.shape)}; it must be one number."
        assert_finite(loss, "The loss")
        torch.autograd.backward(loss)
        optimiser.step()
        total += loss.item()
    return total / len(batches)


def _trials(subject: Subject) -> Iterator[tuple[Task, TrainingData]]:
    """The task with each kind of backbone that suits it."""
    backbones: tuple[type[Backbone], ...] = (PastMean, AllMean, UserVector)
    loss, world = LOSSES[subject.part.loss_kind](NoOptions()), subject.world
    for backbone in backbones:
        try:
            subject.part.check(backbone, subject.world.events)
        except ConfigError:
            continue
        data = TrainingData(world.events, backbone, MAX_LENGTH, TOKEN_BUDGET, world.catalogue, world.users)
        yield cast("Task", subject.build(loss)), data


def _batches(task: Task, data: TrainingData) -> Iterator[Batch]:
    rng = np.random.default_rng(0)
    for rows in task.plan(data, rng):
        yield task.batch(data, rows, rng)


def _network(subject: Subject, task: Task, data: TrainingData) -> Network:
    return build_network(data.backbone(NoOptions(), WIDTH, MAX_LENGTH + 1), subject.world, task=task)


def _equal(first: Batch, second: Batch) -> bool:
    mine, other = _tensors(first), _tensors(second)
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


def _tensors(batch: Batch) -> dict[str, Tensor]:
    own = {name: value for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return own | {f"extra.{name}": value for name, value in batch.extra.items()}


CHECKS = seeded(
    suits_a_backbone,
    metrics_are_installed,
    batches_are_well_formed,
    batches_keep_the_budget,
    batches_follow_their_generator,
    targets_are_hidden,
    the_loss_is_learnt_from,
    updates_are_learnt_from,
    *ENGINE_CHECKS,
    *EXPORT_CHECKS,
)
