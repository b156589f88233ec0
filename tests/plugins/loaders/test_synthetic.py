"""Data made up from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.config.base import parse_config
from p5core.data.raw import RawData
from p5core.errors import ConfigError
from p5plugins.loaders.synthetic import Synthetic, SyntheticConfig


def make(**options: Any) -> RawData:
    return Synthetic(parse_config(SyntheticConfig, options, "data")).load()


@settings(max_examples=40, deadline=None)
@given(
    n_users=st.integers(1, 50), n_items=st.integers(1, 60), n_events=st.integers(1, 500), seed=st.integers(0, 99),
    data=st.data(),
)  # fmt: skip
def test_sizes_ids_and_order_hold(n_users, n_items, n_events, seed, data):
    n_clusters = data.draw(st.integers(1, n_items))
    raw = make(n_users=n_users, n_items=n_items, n_events=n_events, n_clusters=n_clusters, seed=seed)
    events, items = raw.interactions, raw.items
    assert len(events) == n_events
    assert events["user"].between(1, n_users).all()
    assert events["item"].between(1, n_items).all()
    assert items is not None
    assert sorted(items["item"]) == list(range(1, n_items + 1))
    assert (events.groupby("user")["timestamp"].diff().dropna() > 0).all()
    assert events["timestamp"].between(1_700_000_000, 1_900_000_000).all()


def test_a_seed_gives_the_same_data_and_another_one_does_not():
    pd.testing.assert_frame_equal(make(seed=3).interactions, make(seed=3).interactions)
    assert not make(seed=3).interactions.equals(make(seed=4).interactions)


def test_every_user_has_about_half_the_mean_at_least():
    counts = make(n_users=100, n_events=2_000).interactions["user"].value_counts()
    assert len(counts) == 100
    assert counts.min() >= 10


def test_groups_follow_each_other_as_often_as_said():
    raw = make(n_users=200, n_items=100, n_events=20_000, n_clusters=10, predictability=0.7)
    clusters = _clusters(raw, 10)
    same_user = raw.interactions["user"].diff().to_numpy()[1:] == 0
    follows = (np.diff(clusters) % 10 == 1)[same_user].mean()
    assert follows == pytest.approx(0.7 + 0.3 / 10, abs=0.02)


def test_popularity_within_a_group_follows_zipf():
    options: dict[str, Any] = {"n_users": 100, "n_items": 50, "n_events": 50_000, "n_clusters": 5}
    counts = make(**options, popularity_skew=1.0).interactions["item"].value_counts().to_numpy()
    harmonic = (1 / np.arange(1, 11)).sum()
    assert counts[:5].mean() == pytest.approx(10_000 / harmonic, rel=0.05)
    flat = make(**options, popularity_skew=0.0).interactions["item"].value_counts()
    assert flat.max() / flat.min() < 1.3


def test_item_numbers_say_nothing():
    raw = make(n_items=400, n_clusters=4)
    assert raw.items is not None
    place = np.arange(400)
    assert abs(np.corrcoef(place, raw.items["item"])[0, 1]) < 0.15


def test_content_goes_with_the_groups():
    raw = make(n_items=1_000, n_clusters=10)
    assert raw.items is not None
    shown = raw.items["category"].str.removeprefix("category ").astype(int)
    assert (shown == np.arange(1_000) % 10).mean() == pytest.approx(0.91, abs=0.03)
    assert raw.items.groupby(np.arange(1_000) % 10)["price"].mean().is_monotonic_increasing
    assert raw.items["tags"].str.split("|").str.len().eq(2).all()


def test_ratings_texts_and_domain_are_options():
    raw = make(n_items=100, ratings=True, id_kind="string", domain="books")
    frame = raw.interactions
    assert sorted(frame["rating"].unique()) == [1, 2, 3, 4, 5]
    by_item = frame.groupby("item")["rating"].mean()
    assert by_item.std() > 0.3
    assert frame["item"].str.fullmatch(r"i\d{3}").all()
    assert frame["user"].str.fullmatch(r"u\d{4}").all()
    assert set(frame["domain"]) == {"books"}
    assert raw.items is not None
    assert set(frame["item"]) <= set(raw.items["item"])
    assert "rating" not in make().interactions


def test_more_groups_than_items_are_refused():
    with pytest.raises(ConfigError, match="n_clusters = 20 is more than n_items = 5; lower it"):
        make(n_items=5)


def _clusters(raw: RawData, n: int) -> np.ndarray[Any, Any]:
    assert raw.items is not None
    place = pd.Series(np.arange(len(raw.items)), index=raw.items["item"])
    return place.loc[raw.interactions["item"]].to_numpy() % n
