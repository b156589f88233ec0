"""What training events tell, and the popularity baseline."""

from __future__ import annotations

import numpy as np
import pytest

from p5core.contracts.scorer import RatingScorer
from p5core.data.dataset import Events, Ragged
from p5core.evaluation.baselines import Popularity
from p5core.evaluation.item_statistics import item_statistics


def events(lists: list[list[int]], ratings: list[float] | None = None) -> Events:
    ragged = Ragged.of(lists)
    rated = None if ratings is None else np.array(ratings, dtype=np.float32)
    return Events(ragged.offsets, ragged.values, np.arange(len(ragged.values)), rated)


def test_facts_count_different_users() -> None:
    found = item_statistics(events([[0, 0, 1], [], [1, 2, 0]]), 5)
    assert found.users_per_item.tolist() == [2, 2, 1, 0, 0]
    assert found.n_users == 2
    vectors = found.vectors.toarray()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0, 0])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0)
    assert vectors[0] @ vectors[2] == pytest.approx(1 / np.sqrt(2))


def test_popularity_scores_everybody_the_same() -> None:
    scorer = Popularity.fit(events([[0, 0, 1], [1, 2, 0]]), 4)
    scores = scorer.scores(np.array([5, 6], dtype=np.int32), Ragged.of([[], [1]]))
    assert scores.tolist() == [[3, 2, 1, 0]] * 2
    scores[0] = -1.0
    assert scorer.scores(np.array([5], dtype=np.int32), Ragged.of([[]])).tolist() == [[3, 2, 1, 0]]


def test_popularity_rates_by_damped_means() -> None:
    scorer = Popularity.fit(events([[0, 1], [1]], [5.0, 2.0, 2.0]), 3)
    assert isinstance(scorer, RatingScorer)
    rated = scorer.ratings(np.array([0], dtype=np.int32), Ragged.of([[]]), Ragged.of([[0, 1, 2]]))
    assert rated == pytest.approx([(5 + 10 * 3) / 11, (4 + 10 * 3) / 12, 3.0])
    assert np.isnan(Popularity.fit(events([[0]]), 1).means).all()
