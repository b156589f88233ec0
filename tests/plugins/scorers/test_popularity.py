"""The popularity scorer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.scorers.popularity import Popularity

USER = np.array([0], dtype=np.int32)


def fitted(events: Events, n_items: int) -> Popularity:
    scorer = Popularity(NoOptions())
    scorer.fit(events, Catalogue(pd.DataFrame({"item": range(n_items), "domain": "default"})))
    return scorer


def test_everybody_gets_the_same_scores() -> None:
    scorer = fitted(events_of([[0, 0, 1], [1, 2, 0]]), 4)
    scores = scorer.scores(np.array([5, 6], dtype=np.int32), Ragged.of([[], [1]]))
    assert scores.tolist() == [[3, 2, 1, 0]] * 2
    scores[0] = -1.0
    assert scorer.scores(USER, Ragged.of([[]])).tolist() == [[3, 2, 1, 0]]


def test_a_field_is_predicted_by_its_damped_mean() -> None:
    scorer = fitted(events_of([[0, 1], [1]], [5.0, 2.0, 2.0]), 3)
    predicted = scorer.predict("rating", USER, Ragged.of([[]]), Ragged.of([[0, 1, 2]]))
    assert predicted == pytest.approx([(5 + 10 * 3) / 11, (4 + 10 * 3) / 12, 3.0])
    assert scorer.predict("click", USER, Ragged.of([[]]), Ragged.of([[0]])) is None


def test_what_was_learnt_can_be_stored() -> None:
    scorer, again = fitted(events_of([[0, 1], [1]], [5.0, 2.0, 2.0]), 3), Popularity(NoOptions())
    again.restore(scorer.state())
    assert again.scores(USER, Ragged.of([[]])).tolist() == scorer.scores(USER, Ragged.of([[]])).tolist()
    assert again.means["rating"].tolist() == scorer.means["rating"].tolist()
