"""The loop: accumulation, weights of tasks, best weights, early stopping, faults and precision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from p5core.contracts.task import Task, TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows, Windows
from p5core.errors import TrainingError
from p5core.model.network import Network
from p5core.training import loop as module
from p5core.training.checkpoint import load_checkpoint
from p5plugins.tasks.next_item import NextItem

PLAIN = """
[model]
width = 8
max_length = 12
dropout = 0
backbone = {{ name = "gpt", n_layers = 1, dropout = 0 }}

[[stages]]
tasks = {tasks}
epochs = {epochs}
token_budget = 100000
patience = {patience}
optimiser = {{ learning_rate = 0.02, accumulate = {accumulate}, warmup = 0 }}
"""


def plain(
    trainer: Any, *, tasks: str = '[{ name = "next_item" }]', epochs: int = 1, patience: int = 0, accumulate: int = 1
) -> Any:
    """An experiment without dropout whose epochs are one batch."""
    return trainer.experiment(PLAIN.format(tasks=tasks, epochs=epochs, patience=patience, accumulate=accumulate))


class Halves(NextItem):
    """The same windows in every epoch, in batches of given sizes."""

    sizes: Sequence[int] = ()

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        whole = super().plan(data, np.random.default_rng(0))[0]
        edges = np.cumsum([0, *self.sizes])
        parts = [slice(begin, end) for begin, end in pairwise(edges)]
        return [Windows(whole.users[one], whole.starts[one], whole.stops[one]) for one in parts]


class Unlearnable(NextItem):
    """A loss that is no number after some calls."""

    good_calls = 0

    def loss(self, network: Network, batch: Batch) -> Tensor:
        self.good_calls -= 1
        found = super().loss(network, batch)
        return found if self.good_calls >= 0 else found * torch.nan


def make(kind: type[NextItem], trainer: Any, experiment: Any, **attributes: Any) -> Task:
    task = kind(kind.Config(), trainer.tasks(experiment)[0].loss_function)
    for name, value in attributes.items():
        setattr(task, name, value)
    return task


class Growing(NextItem):
    """One batch in the first epoch, and one more in each that follows."""

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        self.epoch = getattr(self, "epoch", -1) + 1
        whole = super().plan(data, np.random.default_rng(0))[0]
        rows = np.array_split(np.arange(len(whole.users)), max(1, self.epoch))
        return [Windows(whole.users[one], whole.starts[one], whole.stops[one]) for one in rows]


def always(value: float) -> Any:
    return lambda _network: value


def weights_after(
    trainer: Any, folder: Path, sizes: Sequence[int], accumulate: int, epochs: int = 3
) -> dict[str, Tensor]:
    experiment = plain(trainer, accumulate=accumulate, epochs=epochs)
    network = trainer.network(experiment)
    values = iter(range(epochs))
    task = make(Halves, trainer, experiment, sizes=sizes)
    trainer.run(network, trainer.stage(experiment, folder, lambda _network: float(next(values)), tasks=[task]))
    return network.state_dict()


@pytest.mark.parametrize("sizes", [[20, 20], [4, 36], [10, 10, 20]])
def test_accumulated_batches_are_one_batch(trainer: Any, tmp_path: Path, sizes: list[int]) -> None:
    one = weights_after(trainer, tmp_path, [sum(sizes)], 1)
    several = weights_after(trainer, tmp_path, sizes, len(sizes))
    apart = weights_after(trainer, tmp_path, sizes, 1)
    assert all(torch.allclose(one[name], several[name], atol=2e-4) for name in one)
    assert not all(torch.allclose(one[name], apart[name], atol=2e-3) for name in one)


def test_the_last_group_of_an_epoch_may_be_smaller(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer, accumulate=2, epochs=2)
    task = make(Halves, trainer, experiment, sizes=[10, 10, 10])
    _, follower = trainer.run(trainer.network(experiment), trainer.stage(experiment, tmp_path, always(1), tasks=[task]))
    assert [one["step"] for one in follower.events] == [2, 4]


def test_losses_of_tasks_add_up_by_weight(trainer: Any, tmp_path: Path) -> None:
    tasks = '[{ name = "next_item", weight = 2.0 }, { name = "rating", weight = 0.5 }]'
    experiment = plain(trainer, tasks=tasks)
    network = trainer.network(experiment)
    stage = trainer.stage(experiment, tmp_path, always(1.0))
    separate = []
    for nth, task in enumerate(stage.tasks):
        batch = task.batch(
            stage.sources.data[0], task.plan(stage.sources.data[0], stage.rng(0, nth))[0], stage.rng(0, 0, nth)
        )
        separate.append(task.loss(network, batch).item())
    _, follower = trainer.run(network, stage)
    assert follower.events[0]["loss"] == pytest.approx(2.0 * separate[0] + 0.5 * separate[1], rel=1e-5)


def test_a_task_with_a_shorter_plan_starts_over(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer, tasks='[{ name = "next_item" }, { name = "next_item" }]')
    tasks = [make(Halves, trainer, experiment, sizes=sizes) for sizes in ([20, 20], [8, 8, 8, 8, 8])]
    _, follower = trainer.run(trainer.network(experiment), trainer.stage(experiment, tmp_path, always(1), tasks=tasks))
    assert follower.events[0]["step"] == 5


@pytest.mark.parametrize(("higher", "best"), [(True, 1), (False, 2)])
def test_the_best_weights_stay(trainer: Any, tmp_path: Path, higher: bool, best: int) -> None:
    seen: list[dict[str, Tensor]] = []
    values = iter([0.3, 0.9, 0.1, 0.5])

    def validate(network: Network) -> float:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return next(values)

    experiment = plain(trainer, epochs=4)
    network = trainer.network(experiment)
    progress, follower = trainer.run(network, trainer.stage(experiment, tmp_path, validate, higher_is_better=higher))
    assert all(torch.equal(network.state_dict()[name], value) for name, value in seen[best].items())
    assert not torch.equal(
        seen[best]["items.encoders.0.embedding.weight"], seen[3]["items.encoders.0.embedding.weight"]
    )
    assert [one["is_best"] for one in follower.events] == [
        value in ((0, 1) if higher else (0, 2)) for value in range(4)
    ]
    assert (progress.stage, progress.epoch, progress.best) == (1, 0, None)
    assert progress.seconds > 0


def descending() -> Iterator[float]:
    value = 1.0
    while True:
        yield value
        value -= 0.1


def test_a_stage_stops_early_when_nothing_gets_better(trainer: Any, tmp_path: Path) -> None:
    values = descending()
    experiment = plain(trainer, epochs=20, patience=3)
    _, follower = trainer.run(
        trainer.network(experiment), trainer.stage(experiment, tmp_path, lambda _network: next(values))
    )
    assert follower.kinds() == ["validation"] * 4 + ["early_stop"]
    assert follower.events[-1]["epoch"] == 4


def test_without_patience_every_epoch_is_made(trainer: Any, tmp_path: Path) -> None:
    values = descending()
    experiment = plain(trainer, epochs=6)
    _, follower = trainer.run(
        trainer.network(experiment), trainer.stage(experiment, tmp_path, lambda _network: next(values))
    )
    assert follower.kinds() == ["validation"] * 6


def test_a_loss_that_is_no_number_ends_training_and_leaves_the_best_weights(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer, epochs=5)
    task = make(Unlearnable, trainer, experiment, good_calls=2)
    stage = trainer.stage(experiment, tmp_path, always(1.0), tasks=[task])
    with pytest.raises(
        TrainingError, match=r"The loss is nan at step 3 of stage 'train'. Lower optimiser.learning_rate"
    ):
        trainer.run(trainer.network(experiment), stage)
    from safetensors.torch import load_file

    assert all(value.isfinite().all() for value in load_file(stage.best).values())


def test_mixed_precision_trains_to_finite_weights_of_full_precision(trainer: Any, tmp_path: Path) -> None:
    values = iter(range(4))
    experiment = plain(trainer, epochs=4)
    network = trainer.network(experiment)
    _, follower = trainer.run(
        network, trainer.stage(experiment, tmp_path, lambda _network: float(next(values))), "bf16-mixed"
    )
    losses = [one["loss"] for one in follower.events]
    assert losses[-1] < losses[0]
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in network.state_dict().values())


def test_long_gradients_are_shortened(trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    real_step = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *arguments: Any) -> Any:
        gradients = [one.grad for group in self.param_groups for one in group["params"] if one.grad is not None]
        norms.append(float(torch.cat([one.flatten() for one in gradients]).norm()))
        return real_step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    text = PLAIN.format(tasks='[{ name = "next_item" }]', epochs=2, patience=0, accumulate=1)
    experiment = trainer.experiment(text.replace("warmup = 0", "warmup = 0, clip_norm = 1e-3"))
    trainer.run(trainer.network(experiment), trainer.stage(experiment, tmp_path, always(1.0)))
    assert norms == pytest.approx([1e-3, 1e-3], rel=1e-3)


def test_what_is_told_while_training_is_plain_and_complete(
    trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_EVENTS", 0.0)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    experiment = plain(trainer, epochs=2)
    task = make(Halves, trainer, experiment, sizes=[20, 20])
    stage = trainer.stage(experiment, tmp_path, always(1.0), tasks=[task])
    _, follower = trainer.run(trainer.network(experiment), stage)
    json.dumps(follower.events, allow_nan=False)
    steps = [one for one in follower.events if one["kind"] == "step"]
    assert [(one["epoch"], one["step"], one["share"]) for one in steps] == [
        (1, 1, 0.25),
        (1, 2, 0.5),
        (2, 3, 0.75),
        (2, 4, 1.0),
    ]
    assert steps[0]["learning_rate"] > steps[3]["learning_rate"] > 0
    assert all(one["events_per_second"] > 0 and one["eta_seconds"] >= 0 for one in steps)
    _, _, progress = load_checkpoint(stage.last)
    assert (progress.epoch, progress.batch, progress.step) == (2, 0, 4)


def test_every_event_but_the_first_of_a_user_is_a_target_once(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer)
    stage = trainer.stage(experiment, tmp_path, always(1.0))
    found = [
        (user, item)
        for rows in stage.tasks[0].plan(stage.sources.data[0], stage.rng(0, 0))
        for batch in [stage.tasks[0].batch(stage.sources.data[0], rows, stage.rng(0, 0, 0))]
        for user, targets in zip(batch.users.tolist(), batch.targets.tolist(), strict=True)
        for item in targets
        if item != NO_TARGET
    ]
    train = stage.sources.data[0].events
    wanted = [(user, item) for user in range(train.n_users) for item in train.histories[user].tolist()[1:]]
    assert sorted(found) == sorted(wanted)


def test_every_batch_of_every_epoch_is_trained_on(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer, epochs=4)
    task = make(Growing, trainer, experiment)
    seen: list[int] = []
    real = task.batch
    task.batch = lambda data, rows, rng: seen.append(len(rows.users)) or real(data, rows, rng)
    _, follower = trainer.run(trainer.network(experiment), trainer.stage(experiment, tmp_path, always(1), tasks=[task]))
    n_users = sum(seen[:1])
    assert [one["step"] for one in follower.events] == [1, 3, 6, 10]
    assert len(seen) == 10
    assert sum(seen) == 4 * n_users


def test_a_task_without_a_batch_is_an_error(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer)
    task = make(Halves, trainer, experiment, sizes=[])
    with pytest.raises(TrainingError, match="Task 'next_item' plans no batch; training needs one an epoch"):
        trainer.run(trainer.network(experiment), trainer.stage(experiment, tmp_path, always(1), tasks=[task]))


@pytest.mark.parametrize("figures", [[3, 1, 2], [1, 3, 2], [1, 2, 3]])
def test_trained_weights_that_nothing_improves_are_kept(trainer: Any, tmp_path: Path, figures: list[float]) -> None:
    """The start of a stage is the first candidate, before two epochs."""
    experiment = plain(trainer, epochs=2)
    network = trainer.network(experiment)
    seen: list[dict[str, Tensor]] = []

    def measured(network: Network) -> float:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return figures[len(seen) - 1]

    _, follower = trainer.run(network, trainer.stage(experiment, tmp_path, measured, starts_trained=True))
    best = seen[int(np.argmax(figures))]
    assert all(torch.equal(value, best[name]) for name, value in network.state_dict().items())
    validations = [event for event in follower.events if event["kind"] == "validation"]
    assert [event["epoch"] for event in validations] == [0, 1, 2]
    assert validations[0]["is_best"]


def test_a_start_without_a_figure_is_no_candidate(trainer: Any, tmp_path: Path) -> None:
    experiment, figures = plain(trainer, epochs=1), iter([float("nan"), 1.0])
    stage = trainer.stage(experiment, tmp_path, lambda network: next(figures), starts_trained=True)
    progress, _ = trainer.run(trainer.network(experiment), stage)
    assert progress.stage == 1


def test_no_epoch_leaves_the_weights_of_the_start(trainer: Any, tmp_path: Path) -> None:
    experiment = plain(trainer, epochs=2)
    network = trainer.network(experiment)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage = trainer.stage(experiment, tmp_path, always(1), last_epoch=0)
    trainer.run(network, replace(stage, validate=None))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
