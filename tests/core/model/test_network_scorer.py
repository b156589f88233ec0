"""Scoring whole catalogues: the newest items, popularity for empty histories, ratings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p5core.contracts.backbone import Backbone
from p5core.contracts.part import NoOptions
from p5core.contracts.task import Task
from p5core.data.dataset import Ragged
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer, newest
from p5core.testing.toys import AllMean, PastMean, SquaredError, UserVector, build_network
from p5core.testing.world import toy_world
from p5plugins.tasks.rating import RatingPrediction

USERS = np.arange(3, dtype=np.int32)


def network_of(backbone: type[Backbone], task: Task | None = None) -> Network:
    torch.manual_seed(0)
    network = build_network(backbone(NoOptions(), 4, 12), toy_world(), task=task)
    network.items.counts.copy_(torch.arange(float(network.items.n_items)))
    return network


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=5), st.integers(1, 4))
def test_the_newest_items_are_kept(histories: list[list[int]], max_length: int) -> None:
    items, lengths = newest(Ragged.of(histories), max_length)
    assert items.dtype == np.int64
    assert lengths.tolist() == [min(len(one), max_length) for one in histories]
    assert [row[:n].tolist() for row, n in zip(items, lengths, strict=True)] == [one[-max_length:] for one in histories]


@pytest.mark.parametrize("backbone", [PastMean, AllMean])
def test_scores_are_those_of_the_last_state(backbone: type[Backbone]) -> None:
    network = network_of(backbone)
    histories = [[1, 2, 3, 4, 5], [6], [2, 2]]
    scores = NetworkScorer(network, 3).scores(USERS, Ragged.of(histories))
    for score, history in zip(scores, histories, strict=True):
        kept = torch.tensor([history[-3:]])
        state = network.last_states(torch.tensor([0]), kept, torch.tensor([kept.shape[1]]))[0]
        assert torch.allclose(score, network.items.vectors() @ state, atol=1e-5)


def test_an_empty_history_scores_items_by_popularity() -> None:
    for histories in ([[], [1], []], [[], [], []]):
        scores = NetworkScorer(network_of(PastMean), 5).scores(USERS, Ragged.of(histories))
        assert torch.equal(scores[0], scores[2])
        assert scores[0].argsort().tolist() == list(range(toy_world().n_items))
        assert scores.isfinite().all()


def test_users_with_vectors_need_no_history() -> None:
    scores = NetworkScorer(network_of(UserVector), 5).scores(USERS, Ragged.of([[], [1], []]))
    assert not torch.equal(scores[0], scores[2])


def test_scoring_switches_dropout_off_and_leaves_no_gradients() -> None:
    network = network_of(PastMean).train()
    network.dropout.p = 0.9
    scorer = NetworkScorer(network, 5)
    one, other = (scorer.scores(USERS, Ragged.of([[1], [2], [3]])) for _ in range(2))
    assert torch.equal(one, other)
    assert not one.requires_grad


def test_predictions_of_several_targets_of_a_user() -> None:
    task = RatingPrediction(NoOptions(), SquaredError(NoOptions()))
    network = network_of(PastMean, task)
    asked = (USERS[:2], Ragged.of([[1, 2], [3]]), Ragged.of([[4, 5], [6]]))
    found = NetworkScorer(network, 5, tasks=[task]).predict("rating", *asked)
    assert found is not None
    assert found.dtype == np.float64
    vectors = network.items.vectors()
    states = torch.stack([vectors[[1, 2]].mean(dim=0)] * 2 + [vectors[3]])
    expected = float(toy_world().events.fields["rating"].mean()) + (states * vectors[[4, 5, 6]]).sum(dim=1)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert NetworkScorer(network, 5, tasks=[task]).predict("click", *asked) is None
    assert NetworkScorer(network, 5).predict("rating", *asked) is None


class Watching(PastMean):
    """Notes the precision of products that it computes with."""

    name = "watching"
    seen: ClassVar[list[tuple[str, bool]]] = []

    def forward(self, vectors: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        self.seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return super().forward(vectors, real)


def test_ranking_multiplies_exactly_whatever_training_does() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        NetworkScorer(network_of(Watching), 5).scores(USERS, Ragged.of([[1], [2, 3], [4]]))
        assert set(Watching.seen) == {("highest", False)}
        assert torch.get_float32_matmul_precision() == "high", "training goes on as before"
    finally:
        torch.set_float32_matmul_precision(before)
