"""ALS: what is solved for has the least loss, for users of the log and for new ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Ragged
from p5plugins.scorers import als as module
from p5plugins.scorers.als import ALS, ALSConfig

HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4], [0, 1, 4, 5], [5, 3], [], [1]]
N_ITEMS = 6


def fitted(**options: Any) -> ALS:
    scorer = ALS(ALSConfig(**{"n_factors": 3, "l2": 0.5, "n_rounds": 40, **options}))
    scorer.fit(events_of(HISTORIES), Catalogue(pd.DataFrame({"item": range(N_ITEMS), "domain": "default"})))
    return scorer


def solved(vectors: npt.NDArray[np.float32], history: list[int], scorer: ALS) -> npt.NDArray[np.float64]:
    """The vector of a user by weighted ridge regression over the whole catalogue."""
    had = np.isin(np.arange(N_ITEMS), history).astype(float)
    weights = np.diag(1 + scorer.config.confidence * had)
    left = vectors.T @ weights @ vectors + scorer.config.l2 * np.eye(vectors.shape[1])
    return np.linalg.solve(left, vectors.T @ weights @ had)


@pytest.mark.parametrize("history", [[0], [1, 3], [5, 4, 0, 2], [3, 3, 1]])
def test_a_new_user_is_solved_for_exactly(history: list[int]) -> None:
    scorer = fitted()
    expected = scorer.vectors @ solved(scorer.vectors, history, scorer)
    got = scorer.scores(np.array([-1], np.int32), Ragged.of([history]))[0].numpy()
    assert got == pytest.approx(expected, abs=1e-4)


def loss(scorer: ALS, items: npt.NDArray[np.floating]) -> float:
    """The stated loss, with the best vectors of users for these vectors of items."""
    total = scorer.config.l2 * float((items**2).sum())
    for history in HISTORIES:
        user = solved(items, history, scorer)
        had = np.isin(np.arange(N_ITEMS), history)
        errors = (1 + scorer.config.confidence * had) * (had - items @ user) ** 2
        total += float(errors.sum()) + scorer.config.l2 * float((user**2).sum())
    return total


def test_no_small_change_of_the_items_lowers_the_loss() -> None:
    scorer, rng = fitted(n_rounds=1_000), np.random.default_rng(1)
    least = loss(scorer, scorer.vectors)
    assert least < loss(scorer, fitted(n_rounds=1).vectors)
    for _ in range(20):
        change = rng.normal(size=scorer.vectors.shape)
        assert loss(scorer, scorer.vectors + 1e-2 * change) > least


def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted().vectors
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 1)
    assert fitted().vectors == pytest.approx(whole, abs=1e-5)


def test_an_empty_history_gets_the_popular_items() -> None:
    scores = fitted().scores(np.zeros(1, np.int32), Ragged.of([[]]))[0].numpy()
    assert scores.argmax() == np.bincount(np.concatenate(HISTORIES).astype(int)).argmax()
