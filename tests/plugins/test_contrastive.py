"""Two views of a history are told from views of others."""

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
from p5plugins.backbones.mf import MF
from p5plugins.losses.cross_entropy import CrossEntropy
from p5plugins.tasks.contrastive import Contrastive, ContrastiveConfig


def data() -> TrainingData:
    world = toy_world()
    return TrainingData(world.events, PastMean, 9, 200, world.catalogue, Users(world.users.frame))


def task(**options: object) -> Contrastive:
    return Contrastive(ContrastiveConfig.model_validate(options), CrossEntropy(CrossEntropy.Config()))


def test_both_views_are_of_the_same_histories() -> None:
    training, contrastive = data(), task(augmentations=["drop"])
    seen = 0
    for rows in contrastive.plan(training, np.random.default_rng(0)):
        batch = contrastive.batch(training, rows, np.random.default_rng(1))
        assert len(rows.users) > 1
        for nth, (start, stop) in enumerate(zip(rows.starts, rows.stops, strict=True)):
            whole = training.events.items[start:stop].tolist()
            for items, lengths in (
                (batch.items, batch.lengths),
                (batch.extra["second"], batch.extra["second_lengths"]),
            ):
                view = items[nth, : lengths[nth]].tolist()
                assert len(view) == len(whole) - max(1, round(0.3 * len(whole)))
                assert set(view) <= set(whole)
            seen += 1
    assert seen > 10


def test_the_loss_is_that_of_finding_the_other_view() -> None:
    """By hand: the mean of both directions of a softmax over cosines."""
    training, contrastive = data(), task(temperature=0.5)
    network = build_network(PastMean(NoOptions(), 8, 9), toy_world()).eval()
    rows = contrastive.plan(training, np.random.default_rng(0))[0]
    batch = contrastive.batch(training, rows, np.random.default_rng(1))
    with torch.no_grad():
        loss = contrastive.loss(network, batch)
        first = network.last_states(batch.users, batch.items, batch.lengths)
        second = network.last_states(batch.users, batch.extra["second"], batch.extra["second_lengths"])
    cosines = torch.cosine_similarity(first[:, None], second[None], dim=-1) / 0.5
    expected = -(cosines.log_softmax(1).diag().mean() + cosines.log_softmax(0).diag().mean()) / 2
    torch.testing.assert_close(loss, expected)


def test_what_has_no_histories_is_refused() -> None:
    events = data().events
    with pytest.raises(ConfigError, match=r"needs a backbone that reads histories; 'mf' is none"):
        Contrastive.check(MF, events)
    one = events.select(events.users == 0)
    with pytest.raises(ConfigError, match=r"needs two users with two training events or more"):
        Contrastive.check(PastMean, one)
    Contrastive.check(PastMean, events)
