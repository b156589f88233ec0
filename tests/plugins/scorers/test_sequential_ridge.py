"""SLIST: the closed form solves the problem that it states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError
from p5plugins.scorers.sequential_ridge import SequentialRidge, SequentialRidgeConfig

HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4], [0, 1, 4, 5], [5, 3], [1]]
N_ITEMS = 6


def catalogue(n_items: int) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": range(n_items), "domain": "default"}))


def fitted(**options: Any) -> SequentialRidge:
    scorer = SequentialRidge(SequentialRidgeConfig(**options))
    scorer.fit(events_of(HISTORIES), catalogue(N_ITEMS))
    return scorer


def solved(share: float, l2: float, recency: float, n_recent: int) -> npt.NDArray[np.float64]:
    """The weights by ridge regressions of each item on all others, over whole histories and steps together."""
    features, targets = [], []
    for history in HISTORIES:
        row = np.bincount(history, minlength=N_ITEMS).astype(float)
        features.append(np.sqrt(share) * row)
        targets.append(np.sqrt(share) * row)
        for end in range(1, len(history)):
            past = np.zeros(N_ITEMS)
            for age, item in enumerate(history[:end][::-1][:n_recent]):
                past[item] += recency**age
            features.append(np.sqrt(1 - share) * past)
            targets.append(np.sqrt(1 - share) * np.eye(N_ITEMS)[history[end]])
    table, wanted = np.array(features), np.array(targets)
    weights = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        others = [other for other in range(N_ITEMS) if other != item]
        left = table[:, others].T @ table[:, others] + l2 * np.eye(len(others))
        weights[others, item] = np.linalg.solve(left, table[:, others].T @ wanted[:, item])
    return weights


@pytest.mark.parametrize(
    ("share", "l2", "recency", "n_recent"), [(0.0, 2.0, 0.7, 20), (0.3, 9.0, 0.5, 1), (1, 4, 1, 2)]
)
def test_each_item_is_a_ridge_regression_on_the_others(share: float, l2: float, recency: float, n_recent: int) -> None:
    scorer = fitted(whole_share=share, l2=l2, recency=recency, n_recent=n_recent)
    assert scorer.similarity.toarray() == pytest.approx(solved(share, l2, recency, n_recent), abs=1e-5)


def test_options_are_chosen_among_shares_and_penalties() -> None:
    config = SequentialRidgeConfig()
    tried = [
        (scorer.config.whole_share, scorer.config.l2)
        for scorer in SequentialRidge.fit_variants(config, events_of(HISTORIES), catalogue(N_ITEMS))
    ]
    assert tried == [(0.2, 100.0), (0.0, 30.0), (0.0, 300.0), (0.5, 30.0), (0.5, 300.0)]
    alone = SequentialRidgeConfig(choose=False)
    assert len([*SequentialRidge.fit_variants(alone, events_of(HISTORIES), catalogue(N_ITEMS))]) == 1


def test_a_catalogue_beyond_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sequential_ridge: all pairs of 1,000,000 items take .* more than memory"):
        SequentialRidge.check(SequentialRidgeConfig(), catalogue(1_000_000))
