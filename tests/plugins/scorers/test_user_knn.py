"""Nearest users: the scores of a calculation by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Ragged
from p5plugins.scorers import user_knn as module
from p5plugins.scorers.user_knn import UserKNN, UserKNNConfig

HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4], [0, 1, 4, 5], [5, 3], [1]]
N_ITEMS = 6


def fitted(**options: Any) -> UserKNN:
    scorer = UserKNN(UserKNNConfig(**options))
    scorer.fit(events_of(HISTORIES), Catalogue(pd.DataFrame({"item": range(N_ITEMS), "domain": "default"})))
    return scorer


def by_hand(history: list[int], k: int, recency: float, rarity: float) -> list[float]:
    holders = np.array([sum(item in other for other in HISTORIES) for item in range(N_ITEMS)])
    rare = np.log((1 + len(HISTORIES)) / (1 + holders)) ** rarity
    rows = []
    for other in HISTORIES:
        row = np.isin(np.arange(N_ITEMS), other) * rare
        rows.append(row / max(np.linalg.norm(row), 1e-30))
    asked = np.zeros(N_ITEMS)
    for age, item in enumerate(history[::-1]):
        asked[item] += recency**age * rare[item]
    similar = np.array(rows) @ (asked / np.linalg.norm(asked))
    nearest = np.argsort(-similar, kind="stable")[:k]
    return (similar[nearest, None] * np.array(rows)[nearest]).sum(axis=0).tolist()


@pytest.mark.parametrize(("k", "recency", "rarity"), [(2, 1.0, 0.0), (3, 0.5, 1.0), (100, 0.8, 2.0)])
@pytest.mark.parametrize("history", [[0], [4, 1], [5, 3, 2]])
def test_the_items_of_the_nearest_users_count(history: list[int], k: int, recency: float, rarity: float) -> None:
    scorer = fitted(n_neighbours=k, recency=recency, rarity=rarity)
    scores = scorer.scores(np.zeros(1, np.int32), Ragged.of([history]))[0].tolist()
    assert scores == pytest.approx(by_hand(history, k, recency, rarity), abs=1e-5)


def test_blocks_change_nothing_and_empty_histories_get_the_popular_items(monkeypatch: pytest.MonkeyPatch) -> None:
    users, histories = np.zeros(4, np.int32), Ragged.of([[0], [], [4, 1], [2]])
    whole = fitted().scores(users, histories)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 1)
    assert fitted().scores(users, histories).numpy() == pytest.approx(whole.numpy())
    assert whole[1].argmax() == 1
