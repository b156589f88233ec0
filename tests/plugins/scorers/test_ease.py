"""EASE: the closed form solves the problem that it states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.columns import WEIGHT
from p5core.data.dataset import Events, Ragged
from p5core.errors import ConfigError
from p5plugins.scorers.ease import EASE, EASEConfig

USER = np.array([0], dtype=np.int32)
HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4], [0, 1, 4, 5], [5, 3]]


def catalogue(n_items: int) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": range(n_items), "domain": "default"}))


def fitted(events: Events, n_items: int = 6, **options: Any) -> EASE:
    scorer = EASE(EASEConfig(**options))
    scorer.fit(events, catalogue(n_items))
    return scorer


def solved(table: npt.NDArray[np.float64], l2: float) -> npt.NDArray[np.float64]:
    """The weights of each item by ridge regression on all others, one item at a time."""
    n_items = table.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = [other for other in range(n_items) if other != item]
        features = table[:, others]
        solution = np.linalg.solve(features.T @ features + l2 * np.eye(len(others)), features.T @ table[:, item])
        weights[others, item] = solution
    return weights


@pytest.mark.parametrize("l2", [0.5, 3.0, 100.0])
def test_each_item_is_a_ridge_regression_on_the_others(l2: float) -> None:
    table = np.array([[float(item in history) for item in range(6)] for history in HISTORIES])
    weights = fitted(events_of(HISTORIES), l2=l2).similarity.toarray()
    assert weights == pytest.approx(solved(table, l2), abs=1e-5)
    assert (weights < 0).any()


def test_repeats_count_once_and_weights_by_their_logarithm() -> None:
    once, twice = fitted(events_of(HISTORIES)), fitted(events_of([[*history, history[0]] for history in HISTORIES]))
    assert twice.similarity.toarray() == pytest.approx(once.similarity.toarray())
    events = events_of(HISTORIES)
    amounts = np.arange(1, len(events) + 1, dtype=np.float32)
    weighted = Events(events.offsets, events.items, events.times, {WEIGHT: amounts})
    table = np.zeros((6, 6))
    np.add.at(table, (events.users, events.items), np.log1p(10 * amounts / amounts.mean()) / np.log1p(10))
    assert fitted(weighted, l2=5).similarity.toarray() == pytest.approx(solved(table, 5), abs=1e-5)


def test_the_largest_weights_of_either_sign_are_kept() -> None:
    whole = fitted(events_of(HISTORIES), l2=1.0).similarity.toarray()
    kept = fitted(events_of(HISTORIES), l2=1.0, n_neighbours=2).similarity.toarray()
    assert ((kept != 0).sum(axis=1) == 2).all()
    for row in range(6):
        assert set(np.abs(kept[row][kept[row] != 0])) == set(np.sort(np.abs(whole[row]))[-2:])


def test_recent_items_count_more_if_wanted() -> None:
    events = events_of(HISTORIES)
    plain, decayed = fitted(events, l2=1.0), fitted(events, l2=1.0, recency=0.5)
    forward, back = Ragged.of([[0, 1]]), Ragged.of([[1, 0]])
    assert plain.scores(USER, forward).numpy() == pytest.approx(plain.scores(USER, back).numpy())
    expected = 0.5 * decayed.similarity.toarray()[0] + decayed.similarity.toarray()[1]
    assert decayed.scores(USER, forward).numpy()[0] == pytest.approx(expected, abs=1e-6)


def test_a_catalogue_beyond_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"all pairs of 300 items take 2 MB, more than memory = 1. Raise memory"):
        fitted(events_of(HISTORIES), 300, memory=1)


def test_penalties_are_tried_for_a_blend() -> None:
    events = events_of(HISTORIES)
    tried = list(EASE.fit_variants(EASEConfig(l2=7), events, catalogue(6)))
    assert [scorer.config.l2 for scorer in tried] == [7, 30, 100, 300, 1000]
    assert tried[2].similarity.toarray() == pytest.approx(fitted(events, l2=100).similarity.toarray())
    assert len(list(EASE.fit_variants(EASEConfig(choose=False), events, catalogue(6)))) == 1
