"""The profile of a log, against logs whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Dataset, Events
from p5core.data.ingest.first_events import read_events
from p5core.data.profile.distributions import N_POINTS, distributions
from p5core.data.profile.preview import first_rows, preview_of
from p5core.data.raw import RawData, Scan
from p5core.data.vocabulary import Vocabulary
from p5core.errors import DataError
from p5core.plugins.discovery import load_plugins
from p5core.workflows.profile import Profile, profile

DAY = 86_400


def log(rows: list[tuple[int, int, int]], **columns: list[float]) -> RawData:
    """A log of (user, item, day)."""
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"]).assign(**columns)
    frame["timestamp"] = 1_700_000_000 + frame["timestamp"] * DAY
    return RawData(frame, time_unit="s")


def grid(n_users: int, n_items: int) -> list[tuple[int, int, int]]:
    """Everybody has everything, one a day, each beginning with another item."""
    return [(user, (user + day) % n_items, day) for user in range(n_users) for day in range(n_items)]


def examine(raw: RawData, *cleaning_and_split: Any, **options: Any) -> Profile:
    return profile(raw, load_plugins(), *cleaning_and_split, **options)


def reasons(raw: RawData) -> dict[str, str]:
    return {one.subject: one.reason for one in examine(raw).merits}


def test_a_plain_log() -> None:
    found = examine(log(grid(6, 8), rating=[1.0, 5.0] * 24))
    assert found.fault == ""
    assert found.sizes == {"train": 36, "validation": 6, "test": 6}
    assert (found.preset["split"]["name"], found.preset["prepare"]["min_user_events"]) == ("leave_one_out", 5)
    assert not found.is_cut
    assert found.duplicate_share == 0
    assert {one.subject: (one.verdict, one.reason) for one in found.merits} == {
        "order": ("good", "clock"),
        "histories": ("good", "long"),
        "ratings": ("good", "varied"),
        "content": ("absent", "ids"),
    }


def test_curves_count_every_event() -> None:
    rows = [*grid(3, 4), (9, 0, 40), (9, 1, 40)]
    found = examine(log(rows, rating=[1.0] * 7 + [2.0] * 7)).curves
    assert found.popularity.to_dict("list") == {"rank": [1, 2, 3, 4], "events": [4, 4, 3, 3]}
    assert dict(zip(found.lengths["events"], found.lengths["users"], strict=True)) == {"2": 1, "3–4": 3}
    assert found.activity is not None
    assert found.activity["events"].sum() == 14
    assert len(found.activity) == 41
    assert found.ratings is not None
    assert found.ratings.to_dict("list") == {"rating": ["1", "2"], "events": [7, 7]}


def test_what_the_order_is_worth() -> None:
    assert reasons(log([(user, item, 0) for user, item, _ in grid(5, 6)]))["order"] == "baskets"
    bare = pd.DataFrame(grid(5, 6), columns=["user", "item", "day"])[["user", "item"]]
    assert reasons(RawData(bare))["order"] == "rows"


def test_what_ratings_and_histories_are_worth() -> None:
    assert reasons(log(grid(5, 6), rating=[3.0] * 30))["ratings"] == "constant"
    assert reasons(log(grid(5, 6)))["ratings"] == "none"
    assert reasons(log(grid(5, 3)))["histories"] == "short"
    assert reasons(log([(user, user % 3, user) for user in range(9)]))["histories"] == "single"


def test_what_content_there_is() -> None:
    raw = log(grid(5, 6))
    items = pd.DataFrame(
        {"item": range(6), "title": list("abcdef"), "kind": ["x", "y"] * 3, "rare": ["z"] + [None] * 5}
    )
    with_items = RawData(raw.interactions, items=items, time_unit="s")
    merit = next(one for one in examine(with_items).merits if one.subject == "content")
    assert (merit.verdict, merit.names) == ("good", ("kind",))
    titles = RawData(raw.interactions, items=items[["item", "title"]], time_unit="s")
    assert reasons(titles)["content"] == "title"


def test_repeats_duplicates_and_cold_items() -> None:
    rows = [(user, item % 3, day) for user, item, day in grid(5, 6)]
    found = examine(log([*rows, rows[0]]), PrepareConfig(keep="all", min_user_events=1), PartSpec(name="time"))
    assert found.duplicate_share == pytest.approx(1 / 31)
    assert "repeats" in {one.subject for one in found.merits}
    late = [*grid(20, 4), *((user, 4 + user, 30) for user in range(20))]
    cold = examine(log(late), PrepareConfig(min_user_events=1))
    assert cold.report is not None
    assert cold.report.cold_share == 1
    assert {one.subject: one.figure for one in cold.merits}["cold"] == 1


def test_a_fault_of_cleaning_leaves_the_rest() -> None:
    found = examine(log(grid(4, 3)), PrepareConfig(min_user_events=50))
    assert "50" in found.fault
    assert found.report is None
    assert found.whole.n_events == 12
    bare = RawData(pd.DataFrame(grid(5, 6), columns=["user", "item", "day"])[["user", "item"]])
    assert "needs timestamps" in examine(bare, splitting=PartSpec(name="time")).fault


def test_a_log_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        examine(log([]))


@pytest.mark.parametrize("as_query", [False, True])
def test_only_the_first_rows_are_examined(as_query: bool) -> None:
    raw = log(grid(6, 8))
    if as_query:
        raw = RawData(Scan("SELECT i // 8 AS user, i % 8 AS item, i AS timestamp FROM range(48) AS r(i)"))
    found = examine(raw, max_rows=24)
    assert found.is_cut
    assert (found.whole.n_read, found.whole.n_users) == (24, 3)
    assert not examine(raw, max_rows=1_000).is_cut


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60))
def test_the_popularity_curve_falls_and_stays_small(counts: list[int]) -> None:
    items = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    events = Events(np.array([0, len(items)]), items, np.arange(len(items)))
    frame = pd.DataFrame({"item": range(len(counts)), "domain": "default"})
    users = pd.DataFrame({"user": [1]})
    curve = distributions(
        Dataset(events, Vocabulary.of(pd.Index(users["user"])), Catalogue(frame), users, False)
    ).popularity
    assert len(curve) <= N_POINTS
    assert curve["events"].is_monotonic_decreasing
    assert curve["events"].iloc[0] == max(counts)
    assert curve["rank"].tolist()[-1] == len(counts)


def test_a_look_at_what_is_loaded_already() -> None:
    raw = log(grid(6, 8))
    preview = preview_of(raw, 20)
    assert preview.columns == {"user": "user", "item": "item", "timestamp": "timestamp"}
    assert len(preview.preview) == 10
    assert preview.head is not None
    frame, notes = read_events(preview.head, 3)
    assert frame["timestamp"].tolist() == ["2023-11-14 22:13:20", "2023-11-15 22:13:20", "2023-11-16 22:13:20"]
    assert notes == ()
    scan = RawData(Scan("SELECT i AS user, i AS item FROM range(99) AS r(i)"))
    assert len(preview_of(scan, 20).preview) == 10
    assert len(read_events(first_rows(scan, 2))[0]) == 2
