"""The item memory inside a network: the same counts as the baseline's, mixed as validation events say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p5core.contracts.part import NoOptions
from p5core.data.dataset import Events, Ragged
from p5core.model.cooccurrence import FLOOR, MIXTURES, Memory
from p5core.model.item_knn import Neighbours
from p5core.model.network_scorer import NetworkScorer, newest
from p5core.model.options import NeighboursConfig
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import toy_world

N_ITEMS = 9


def events(histories: list[list[int]]) -> Events:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in histories])]).astype(np.int64)
    items = np.array([item for one in histories for item in one], dtype=np.int32)
    return Events(offsets, items, np.arange(len(items)), None)


histories = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=8), min_size=1, max_size=6)


@given(histories, histories, st.integers(1, 4), st.integers(1, 9))
def test_scores_are_those_of_the_baseline(
    train: list[list[int]], asked: list[list[int]], n_recent: int, n_neighbours: int
) -> None:
    config = NeighboursConfig(n_neighbours=n_neighbours, n_recent=n_recent, window=3)
    memory = Memory(N_ITEMS, config)
    memory.fill(events(train))
    items, lengths = newest(Ragged.of(asked), 8)
    found = memory.scores(torch.from_numpy(items), torch.from_numpy(lengths))
    wanted = Neighbours.fit(events(train), N_ITEMS, config).scores(
        np.zeros(len(asked), dtype=np.int32), Ragged.of(asked)
    )
    assert torch.allclose(found, wanted, atol=1e-5)


def test_the_mixture_is_a_weighted_sum_of_log_shares() -> None:
    memory = Memory(3, NeighboursConfig())
    memory.mixture.copy_(torch.tensor([0.5, 2.0]))
    network, remembered = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0]])
    wanted = 0.5 * network.log_softmax(1) + 2 * torch.log(torch.tensor([[0.75, 0.25, 0.0]]) + FLOOR)
    assert torch.allclose(memory.mix(network, remembered), wanted)
    nothing = memory.mix(network, torch.zeros(1, 3))
    assert nothing.isfinite().all()
    assert nothing.argmax() == network.argmax()


def test_each_alone_is_among_the_mixtures() -> None:
    assert MIXTURES[0] == (1.0, 0.0)
    assert (0.0, 1.0) in MIXTURES
    assert not Memory(3, NeighboursConfig()).is_used


def test_an_unused_memory_changes_no_score_and_a_used_one_does() -> None:
    world = toy_world()
    network = build_network(PastMean(NoOptions(), 8, 9), world)
    asked, users = Ragged.of([[1, 2], [3]]), np.array([-1, -1], dtype=np.int32)
    plain = NetworkScorer(network, 9).scores(users, asked)
    network.memory = Memory(world.n_items, NeighboursConfig())
    network.memory.fill(world.events)
    assert torch.equal(NetworkScorer(network, 9).scores(users, asked), plain)
    network.memory.mixture.copy_(torch.tensor([0.0, 1.0]))
    alone = NetworkScorer(network, 9).scores(users, asked)
    memory = Neighbours.fit(world.events, world.n_items).scores(users, asked)
    for row in range(2):
        reached = memory[row] > 1e-6
        assert alone[row][reached].argmax() == memory[row][reached].argmax()
        assert alone[row][reached].min() > alone[row][~reached].max()


@pytest.mark.parametrize("options", [{"n_neighbours": 0}, {"recency": 0}, {"window": 0}])
def test_options_have_bounds(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="greater than"):
        NeighboursConfig.model_validate(options)
