"""Scores of a network blended with those of fitted scorers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import events_of

from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5core.model.blend import FLOOR, Blend, NeighbourTable, log_shares, read_blend, write_blend
from p5core.model.network_scorer import NetworkScorer, newest
from p5core.plugins.discovery import load_plugins
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import toy_world
from p5core.training.blending import WEIGHTS
from p5plugins.scorers.cooccurrence import CoOccurrence, CoOccurrenceConfig
from p5plugins.scorers.popularity import Popularity, PopularityConfig

N_ITEMS = 9
HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=8), min_size=1, max_size=6)
CPU = torch.device("cpu")


def fitted(events: Events, n_items: int, **options: float) -> CoOccurrence:
    scorer = CoOccurrence(CoOccurrenceConfig.model_validate(options))
    scorer.fit(events, Catalogue(pd.DataFrame({"item": range(n_items), "domain": "default"})))
    return scorer


@given(HISTORIES, HISTORIES, st.integers(1, 4), st.integers(1, 9))
def test_the_table_of_neighbours_scores_as_the_scorer(
    train: list[list[int]], asked: list[list[int]], n_recent: int, n_neighbours: int
) -> None:
    scorer = fitted(events_of(train), N_ITEMS, n_neighbours=n_neighbours, n_recent=n_recent, window=3)
    items, lengths = newest(Ragged.of(asked), 8)
    found = NeighbourTable(scorer.export(), CPU).scores(torch.from_numpy(items), torch.from_numpy(lengths))
    expected = scorer.scores(np.zeros(len(asked), dtype=np.int32), Ragged.of(asked))
    assert torch.allclose(found, expected, atol=1e-5)


@given(HISTORIES, HISTORIES)
def test_a_blend_is_a_weighted_sum_of_log_shares(train: list[list[int]], asked: list[list[int]]) -> None:
    scorers = [fitted(events_of(train), N_ITEMS), Popularity(PopularityConfig())]
    scorers[1].fit(events_of(train), Catalogue(pd.DataFrame({"item": range(N_ITEMS), "domain": "default"})))
    learnt, users = torch.randn(len(asked), N_ITEMS), np.zeros(len(asked), dtype=np.int32)
    found = Blend(scorers, (0.5, 2.0, 0.25)).scores(learnt, users, Ragged.of(asked))
    expected = 0.5 * learnt.log_softmax(1)
    for weight, scorer in zip((2.0, 0.25), scorers, strict=True):
        scores = scorer.scores(users, Ragged.of(asked))
        if isinstance(scorer, CoOccurrence):
            scores = scores - 1e-9 * torch.from_numpy(scorer.popularity)  # exported neighbours have no popularity
        share = scores.clamp_min(0) / scores.sum(dim=1, keepdim=True).clamp_min(1e-12)
        expected = expected + weight * torch.log(share + FLOOR)
    assert torch.allclose(found, expected, atol=1e-3)


def test_shares_of_nothing_are_finite() -> None:
    assert log_shares(torch.zeros(1, 3)).isfinite().all()


def test_each_alone_is_among_the_weights() -> None:
    assert WEIGHTS[0] == (1.0, 0.0)
    assert (0.0, 1.0) in WEIGHTS
    assert not Blend([], (1.0,)).is_used


def test_a_scorer_alone_orders_as_it_does_without_the_network() -> None:
    world = toy_world()
    network = build_network(PastMean(NoOptions(), 8, 9), world)
    asked, users = Ragged.of([[1, 2], [3]]), np.array([-1, -1], dtype=np.int32)
    scorer = CoOccurrence(CoOccurrenceConfig())
    scorer.fit(world.events, world.catalogue)
    alone = NetworkScorer(network, 9, Blend([scorer], (0.0, 1.0))).scores(users, asked)
    own = scorer.scores(users, asked)
    for row in range(2):
        reached = own[row] > 1e-6
        assert alone[row][reached].argmax() == own[row][reached].argmax()
        assert alone[row][reached].min() > alone[row][~reached].max()


def test_only_what_the_network_reads_is_blended() -> None:
    world = toy_world()
    network = build_network(PastMean(NoOptions(), 8, 9), world)
    scorer = CoOccurrence(CoOccurrenceConfig())
    scorer.fit(world.events, world.catalogue)
    model = NetworkScorer(network, 2, Blend([scorer], (1.0, 2.0)))
    users = np.array([-1, -1], dtype=np.int32)
    long, short = model.scores(users, Ragged.of([[5, 9, 1, 2], [1, 2]]))
    assert torch.allclose(long, short)


def test_a_stored_blend_scores_the_same(tmp_path: Path) -> None:
    scorer = fitted(events_of([[0, 1, 2], [2, 3, 1], [5, 1]]), N_ITEMS, recency=0.5, n_neighbours=4)
    blend = Blend([scorer], (1.0, 1.3))
    write_blend(tmp_path, blend)
    again = read_blend(tmp_path, load_plugins())
    assert again is not None
    assert (again.weights, again.scorers[0].config) == (blend.weights, scorer.config)
    learnt, users = torch.randn(2, N_ITEMS), np.zeros(2, dtype=np.int32)
    asked = Ragged.of([[1, 2], [5]])
    assert torch.equal(again.scores(learnt, users, asked), blend.scores(learnt, users, asked))
    assert read_blend(tmp_path / "none", load_plugins()) is None


@pytest.mark.parametrize("options", [{"n_neighbours": 0}, {"recency": 0}, {"window": 0}])
def test_options_have_bounds(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="greater than"):
        CoOccurrenceConfig.model_validate(options)
