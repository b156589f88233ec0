"""Markov chains: shares of what followed, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Ragged
from p5plugins.scorers.markov import Markov, MarkovConfig

HISTORIES = [[0, 1, 2], [0, 1, 3], [3, 1, 3], [0, 1, 1, 2], [4]]
"""After 1: 2, 3, 3, 2. After 0 and 1: 2, 3; the pair of 1 and 1 is no step."""


def fitted(**options: Any) -> Markov:
    scorer = Markov(MarkovConfig(**options))
    catalogue = Catalogue(pd.DataFrame({"item": range(5), "domain": "default"}))
    scorer.fit(events_of(HISTORIES), catalogue)
    return scorer


def scores(scorer: Markov, *history: int) -> list[float]:
    return scorer.scores(np.zeros(1, np.int32), Ragged.of([list(history)]))[0].tolist()


def test_the_last_item_decides() -> None:
    scorer = fitted()
    assert scores(scorer, 1) == pytest.approx([0, 0, 0.5, 0.5, 0], abs=1e-6)
    assert scores(scorer, 2, 0) == pytest.approx([0, 1, 0, 0, 0], abs=1e-6)
    assert scores(scorer, 3) == pytest.approx([0, 1, 0, 0, 0], abs=1e-6)
    assert np.argmax(scores(scorer, 2)) == 1  # nothing followed: the most popular


def test_the_last_two_decide_as_far_as_they_were_seen() -> None:
    scorer = fitted(order=2, smoothing=2.0)
    expected = (np.array([0, 0, 1, 1, 0]) + 2.0 * np.array([0, 0, 0.5, 0.5, 0])) / 4
    assert scores(scorer, 0, 1) == pytest.approx(expected, abs=1e-6)
    expected = (np.array([0, 0, 0, 1, 0]) + 2.0 * np.array([0, 0, 0.5, 0.5, 0])) / 3
    assert scores(scorer, 4, 3, 1) == pytest.approx(expected, abs=1e-6)
    assert scores(scorer, 2, 1) == pytest.approx([0, 0, 0.5, 0.5, 0], abs=1e-6)  # never seen together
    assert scorer.export() is None
    assert fitted().export() is not None


def test_contributions_add_up_to_the_score() -> None:
    for order, n_read in ((1, 1), (2, 2)):
        scorer, history = fitted(order=order), np.array([2, 0, 1], np.int32)
        shares = scorer.contributions(history, 3)
        assert shares.sum() == pytest.approx(scores(scorer, 2, 0, 1)[3], abs=1e-6)
        assert (shares > 0).sum() == n_read
