"""Item-item neighbours by who had them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.scorers.item_knn import ItemKNN, ItemKNNConfig
from p5plugins.similarity import sparse

HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4], [0, 1, 4, 5], [5, 3], [1, 2]]
HAD = np.array([[float(item in history) for item in range(6)] for history in HISTORIES])


def fitted(events: Events, **options: Any) -> ItemKNN:
    scorer = ItemKNN(ItemKNNConfig(**options))
    scorer.fit(events, Catalogue(pd.DataFrame({"item": range(6), "domain": "default"})))
    return scorer


@pytest.mark.parametrize("shrink", [0.0, 5.0])
@pytest.mark.parametrize("similarity", ["cosine", "jaccard", "tfidf", "bm25"])
def test_similarities_are_as_they_are_defined(similarity: str, shrink: float) -> None:
    table = HAD.copy()
    if similarity in ("tfidf", "bm25"):
        table *= np.log1p(6 / HAD.sum(axis=1))[:, None]
    if similarity == "bm25":
        n_users = HAD.sum(axis=0)
        table *= 2.2 / (1.2 * (0.25 + 0.75 * n_users / n_users.mean()) + 1)
    both, sizes = table.T @ table, (table**2).sum(axis=0)
    if similarity == "jaccard":
        expected = both / (sizes[:, None] + sizes[None] - both + shrink)
    else:
        expected = both / (np.sqrt(sizes[:, None] * sizes[None]) + shrink)
    np.fill_diagonal(expected, 0)
    found = fitted(events_of(HISTORIES), similarity=similarity, shrink=shrink).similarity.toarray()
    assert found == pytest.approx(expected, abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted(events_of(HISTORIES), n_neighbours=3).similarity.toarray()
    monkeypatch.setattr(sparse, "PAIRS_AT_ONCE", 4)
    assert fitted(events_of(HISTORIES), n_neighbours=3).similarity.toarray() == pytest.approx(whole)
    assert ((whole > 0).sum(axis=1) <= 3).all()


def test_the_order_of_a_history_does_not_matter() -> None:
    scorer = fitted(events_of(HISTORIES))
    one, other = (scorer.scores(np.zeros(1, np.int32), Ragged.of([history])) for history in ([0, 1, 2], [2, 0, 1]))
    assert one.numpy() == pytest.approx(other.numpy())


def test_similarities_are_tried_for_a_blend() -> None:
    catalogue = Catalogue(pd.DataFrame({"item": range(6), "domain": "default"}))
    tried = list(ItemKNN.fit_variants(ItemKNNConfig(similarity="bm25"), events_of(HISTORIES), catalogue))
    assert [scorer.config.similarity for scorer in tried] == ["bm25", "cosine", "jaccard", "tfidf"]
