"""The popularity scorer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.scorers.popularity import Popularity, PopularityConfig

USER = np.array([0], dtype=np.int32)


def fitted(events: Events, n_items: int, **options: Any) -> Popularity:
    scorer = Popularity(PopularityConfig(**options))
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
    scorer, again = fitted(events_of([[0, 1], [1]], [5.0, 2.0, 2.0]), 3), Popularity(PopularityConfig())
    again.restore(scorer.state())
    assert again.scores(USER, Ragged.of([[]])).tolist() == scorer.scores(USER, Ragged.of([[]])).tolist()
    assert again.means["rating"].tolist() == scorer.means["rating"].tolist()


def test_the_newest_events_alone_may_count() -> None:
    events = events_of([[0, 0, 0, 1], [0, 2, 2, 2]])  # the times go on from the first user to the second
    times = np.array([0, 1, 2, 7, 3, 4, 5, 6])
    mixed = Events(events.offsets, events.items, times)
    assert fitted(mixed, 4, newest=0.5).scores(USER, Ragged.of([[]])).tolist() == [[0, 1, 3, 0]]
    assert fitted(mixed, 4, newest=1e-9).scores(USER, Ragged.of([[]])).tolist() == [[0, 1, 0, 0]]


def test_what_occurs_more_often_than_before_is_trending() -> None:
    events = events_of([[0] * 40 + [1] * 10 + [0] * 40 + [1] * 30])
    scores = fitted(events, 3, newest=0.5, trending=True).scores(USER, Ragged.of([[]]))[0]
    assert scores.tolist() == pytest.approx([(30 + 10) / (40 + 10), (30 + 10) / (20 + 10), 1.0])


def test_all_events_have_no_trend() -> None:
    with pytest.raises(ValueError, match=r"set newest below 1, such as 0\.1"):
        PopularityConfig(trending=True)
