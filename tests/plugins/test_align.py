"""Item vectors learn what is had together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from p5core.contracts.part import NoOptions
from p5core.contracts.task import TrainingData
from p5core.data.catalogue import Users
from p5core.errors import ConfigError
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import toy_world
from p5plugins.losses.cross_entropy import CrossEntropy
from p5plugins.tasks.align import Align, AlignConfig


def data() -> TrainingData:
    world = toy_world()
    return TrainingData(world.events, PastMean, 9, 200, world.catalogue, Users(world.users.frame))


def task(**options: object) -> Align:
    return Align(AlignConfig.model_validate(options), CrossEntropy(CrossEntropy.Config()))


@pytest.mark.parametrize("window", [1, 2, 100])
def test_pairs_are_of_one_user_and_close(window: int) -> None:
    training, align = data(), task(window=window)
    partners: dict[tuple[int, int], set[int]] = {}
    for seed in range(40):
        for rows in align.plan(training, np.random.default_rng(seed)):
            batch = align.batch(training, rows, np.random.default_rng(seed))
            assert batch.n_targets == int(rows.lengths.sum()) == len(batch.extra["first"])
            pairs = iter(zip(batch.extra["first"].tolist(), batch.extra["second"].tolist(), strict=True))
            for start, stop in zip(rows.starts, rows.stops, strict=True):
                history = training.events.items[start:stop].tolist()
                for place, item in enumerate(history):
                    first, second = next(pairs)
                    assert first == item
                    near = history[max(0, place - window) : place] + history[place + 1 : place + 1 + window]
                    assert second in near
                    partners.setdefault((int(start), place), set()).add(second)
    assert window > 1 or max(map(len, partners.values())) <= 2
    assert any(len(seen) > 1 for seen in partners.values())


def test_items_that_are_had_together_come_close() -> None:
    """Trained alone, the vectors of pairs are nearer than those of other items; the backbone is as it was."""
    world, align = toy_world(), task()
    training, network = data(), build_network(PastMean(NoOptions(), 8, 9), toy_world())
    optimiser = torch.optim.Adam(network.parameters(), lr=0.05)
    losses = []
    for epoch in range(30):
        for rows in align.plan(training, np.random.default_rng(epoch)):
            loss = align.loss(network, align.batch(training, rows, np.random.default_rng(epoch)))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    vectors = torch.nn.functional.normalize(network.items.vectors().detach(), dim=-1)
    cosines = vectors @ vectors.T
    together = torch.zeros_like(cosines, dtype=torch.bool)
    for user in range(world.events.n_users):
        history = torch.from_numpy(world.events.histories[user]).long()
        together[history[:, None], history[None]] = True
    apart = ~together
    together.fill_diagonal_(False)
    assert cosines[together].mean() > cosines[apart].mean() + 0.1
    assert all(parameter.grad is None for parameter in network.backbone.parameters())


def test_the_loss_counts_an_item_of_several_pairs_once() -> None:
    training, align = data(), task(temperature=0.5)
    network = build_network(PastMean(NoOptions(), 8, 9), toy_world()).eval()
    batch = align.batch(training, align.plan(training, np.random.default_rng(0))[0], np.random.default_rng(1))
    first, second = batch.extra["first"], batch.extra["second"]
    unique = sorted(set(second.tolist()))
    assert len(unique) < len(second)
    with torch.no_grad():
        loss = align.loss(network, batch)
        vectors = torch.nn.functional.normalize(network.items.vectors(), dim=-1)
    scores = vectors[first] @ vectors[unique].T / 0.5
    targets = torch.tensor([unique.index(item) for item in second.tolist()])
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(scores, targets))


def test_what_has_no_pairs_is_refused() -> None:
    events = data().events
    with pytest.raises(ConfigError, match=r"needs two users with two training events or more"):
        Align.check(PastMean, events.select(events.users == 0))
    Align.check(PastMean, events)
