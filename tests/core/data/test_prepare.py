"""Preparation: each step, each fault in words, and what holds for any log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest import fields
from p5core.data.ingest.prepare import prepare
from p5core.data.profile.report_text import report_text
from p5core.data.raw import RawData, Scan
from p5core.errors import ConfigError, DataError

EVERYTHING = PrepareConfig(keep="all", min_user_events=1)
KIND_KEPT = PrepareConfig(keep="all", min_user_events=1, fields=["kind"])


def log(**columns: object) -> pd.DataFrame:
    """Six events of two users, with columns replaced or added."""
    return pd.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": ["a", "b", "c", "a", "b", "c"], **columns})


def refused(frame: pd.DataFrame, match: str, config: PrepareConfig = EVERYTHING, **raw: object) -> None:
    with pytest.raises(DataError, match=match):
        prepare(RawData(frame, source="log.csv", **raw), config)  # type: ignore[arg-type]


def decoded(frame: pd.DataFrame | Scan, config: PrepareConfig = EVERYTHING) -> list[tuple[object, object]]:
    dataset, _ = prepare(RawData(frame), config)
    users = dataset.users.decode(dataset.events.users)
    return list(zip(users, dataset.catalogue.decode(dataset.events.items), strict=True))


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"rating": [1, 2, 3, np.inf, 4, 5]}, "row 4, column 'rating': the rating 'inf' is no finite number"),
        (
            {"rating": ["1", "2", "good", "3", "4", "5"]},
            "row 3, column 'rating': the rating 'good' is no finite number",
        ),
        ({"rating": [np.nan] * 6}, "Nothing is left: 6 rows have no rating"),
        ({"timestamp": ["2024-01-01", "soon", *["2024-01-01"] * 4]}, "row 2, column 'timestamp': 'soon' is no time"),
        (
            {"timestamp": [1.6e9, 1.6e12, *[1.6e9] * 4]},
            r"row 1, .*: the time looks like seconds.*that of .*, row 2 like milli",
        ),
        ({"timestamp": [1.6e9, np.inf, *[1.6e9] * 4]}, "row 2, column 'timestamp': the time is infinite"),
        ({"timestamp": [None] * 6}, "column 'timestamp' is empty"),
        ({"timestamp": [""] * 6}, "column 'timestamp' is empty"),
        ({"timestamp": [True] * 6}, "has type BOOLEAN, which is no time"),
        ({"item": pd.Series([1, "a", 3, 4, 5, 6], dtype=object)}, "row 2, column 'item': 'a' is of another type"),
        ({"user": [1.0, 2.0, 3.5, 1.0, 1.0, 1.0]}, "row 3, column 'user': 3.5 is no id"),
        ({"user": [True] * 6}, "column 'user' is of type BOOLEAN; ids must be strings or integers"),
        ({"user": [1] * 6}, "Only one user is left"),
        ({"item": ["a"] * 6}, "Only one item is left"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(columns: dict[str, object], match: str) -> None:
    refused(log(**columns), match)


def test_rows_are_counted_as_an_editor_does() -> None:
    refused(log(rating=[np.inf] * 6), "row 2, column 'rating'", header_rows=1)


def test_what_is_empty_or_lacks_a_column_is_refused() -> None:
    refused(log().iloc[:0], "has no rows")
    refused(log().drop(columns="item"), "has no column 'item'. Its columns: user")
    refused(log(), "Nothing is left: of 6 events of 2 users with 3 items", PrepareConfig(min_user_events=9))
    refused(log(), "min_rating needs ratings", PrepareConfig(min_rating=3.0))


def test_a_wrong_memory_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="memory_limit"):
        PrepareConfig(memory_limit="much")
    assert issubclass(ConfigError, Exception)


def test_rows_without_ids_or_time_are_dropped_and_reported() -> None:
    frame = log(item=["a", "b", "", "a", None, "c"], timestamp=[1e9, 2e9, 3e9, np.nan, 5e9, 6e9])
    dataset, report = prepare(RawData(frame), EVERYTHING)
    assert len(dataset.events) == 3
    assert {one.reason.split(" ")[1]: one.rows for one in report.dropped} == {"user": 2, "timestamp": 1}
    assert "dropped 2" in report_text(report)


@pytest.mark.parametrize(
    "times",
    [
        [1_700_000_000, 1_700_000_060],
        [1_700_000_000_000, 1_700_000_060_000],
        [1_700_000_000_000_000, 1_700_000_060_000_000],
        [1_700_000_000_000_000_000, 1_700_000_060_000_000_000],
        ["1700000000", "1700000060"],
        ["2023-11-14T22:13:20Z", "2023-11-14 23:14:20+01:00"],
        ["14/11/2023 22:13:20", "14/11/2023 22:14:20"],
        pd.to_datetime([1_700_000_000, 1_700_000_060], unit="s"),
        pd.to_datetime([1_700_000_000, 1_700_000_060], unit="s", utc=True).tz_convert("Asia/Tokyo"),
    ],
)
def test_times_of_many_kinds_become_microseconds(times: object) -> None:
    frame = pd.DataFrame({"user": [1, 2], "item": ["a", "b"], "timestamp": times})
    dataset, _ = prepare(RawData(frame), EVERYTHING)
    assert dataset.has_clock
    assert dataset.events.times.tolist() == [1_700_000_000_000_000, 1_700_000_060_000_000]


def test_equal_times_keep_the_order_of_the_source() -> None:
    frame = pd.DataFrame({"user": [1, 1, 1, 2], "item": ["c", "a", "b", "a"], "timestamp": [2e9, 1e9, 2e9, 1e9]})
    assert decoded(frame) == [(1, "a"), (1, "c"), (1, "b"), (2, "a")]


def test_ids_stay_what_they_are() -> None:
    odd = ["o'neil", 'say "hi"', "två\nrader", "007"]
    frame = pd.DataFrame({"user": [2**62, 2**62 + 1] * 2, "item": odd})
    assert sorted(item for _, item in decoded(frame)) == sorted(odd)
    assert {user for user, _ in decoded(frame)} == {2**62, 2**62 + 1}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([None, "view", "buy", "o'neil", "Ünder", "1.0", ""]), min_size=5, max_size=5),
    st.sampled_from([0, 2, 1_000]),
)
def test_texts_of_events_are_numbered_in_their_order(texts: list[str | None], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "FEW", few)
        dataset, _ = prepare(RawData(log(kind=[*texts, "gift"])), KIND_KEPT)
    kinds, codes = dataset.field_values["kind"], dataset.events.fields["kind"]
    assert list(kinds) == sorted({text for text in texts if text} | {"gift"})
    assert [kinds[code] if code >= 0 else None for code in codes] == [*(text or None for text in texts), "gift"]


@pytest.mark.parametrize("few", [0, 1_000])
def test_texts_that_no_event_has_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(fields, "FEW", few)
    frame = log(kind=["view", "cart", None, "view", "buy", "gift"], rating=[5, 1, 5, 5, 5, 1])
    dataset, _ = prepare(RawData(frame), KIND_KEPT.model_copy(update={"min_rating": 2.0}))
    assert dataset.field_values["kind"] == ("buy", "view")
    assert dataset.events.fields["kind"].tolist() == [1, -1, 1, 0]


@pytest.mark.parametrize("few", [0, 1_000])
def test_weights_of_kinds_leave_out_the_others(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(fields, "FEW", few)
    weights = {"1": 1.0, "true": 2.0, "it's": 3.0, "never": 4.0}
    frame = log(event=["1.0", "True", "it's", "1", "other", None])
    dataset, report = prepare(RawData(frame, event_weights=weights), EVERYTHING)
    assert dataset.events.fields["weight"].tolist() == [1, 2, 3, 1]
    assert [(one.reason, one.rows) for one in report.dropped] == [("a kind of event without a weight", 2)]


def test_items_are_joined_and_what_is_missing_is_counted() -> None:
    items = pd.DataFrame({"item": ["a", "b", "z"], "title": ["A", None, "Z"], "genre": ["x", None, "y"]})
    dataset, report = prepare(RawData(log(), items=items), EVERYTHING)
    assert dataset.catalogue.titles(np.arange(3)) == ["A", "b", "c"]
    assert report.missing_features == {"genre": pytest.approx(2 / 3)}
    assert any("1 of 3 items have no row" in note for note in report.notes)
    assert any("1 rows of the items table" in note for note in report.notes)


def test_items_that_stand_twice_or_have_other_ids_are_refused() -> None:
    twice = pd.DataFrame({"item": ["a", "b", "a"]})
    with pytest.raises(DataError, match="row 1: the id 'a' stands in row 3 too"):
        prepare(RawData(log(), items=twice), EVERYTHING)
    with pytest.raises(DataError, match="row 1: the id 'x' is no integer"):
        prepare(RawData(log(item=[1, 2, 3] * 2), items=pd.DataFrame({"item": ["x"]})), EVERYTHING)


@pytest.mark.parametrize(("ids", "listed"), [(["b", "d", "é"], ["a", "b", "c", "é"]), ([2, 30, 400], [1, 2, 31, 400])])
def test_items_without_events_stay_in_the_catalogue_where_the_items_table_knows_them(
    ids: list[Any], listed: list[Any]
) -> None:
    items = pd.DataFrame({"item": listed, "genre": [f"g{id_}" for id_ in listed]})
    raw = RawData(log(item=ids * 2), items=items)
    without, _ = prepare(raw, EVERYTHING)
    dataset, report = prepare(raw, EVERYTHING.model_copy(update={"cold_items": True}))
    assert dataset.catalogue.frame["item"].tolist() == sorted({*ids, *listed})
    assert dataset.catalogue.decode(dataset.events.items) == without.catalogue.decode(without.events.items)
    named = dict(zip(dataset.catalogue.frame["item"], dataset.catalogue.frame["genre"], strict=True))
    assert {id_: named[id_] for id_ in listed} == {id_: f"g{id_}" for id_ in listed}
    assert (report.n_items, report.n_cold_items) == (5, 2)
    assert report.density == without.events.items.size / (2 * 3)
    assert not any("without events and are left out" in note for note in report.notes)


def test_items_without_events_belong_to_the_domain_that_their_table_names() -> None:
    raw = RawData(
        log(domain=["books"] * 3 + ["films"] * 3),
        items=pd.DataFrame({"item": ["a", "z"], "domain": ["films", "books"], "title": ["A", "Z"]}),
    )
    dataset, _ = prepare(raw, EVERYTHING.model_copy(update={"cold_items": True}))
    assert list(dataset.catalogue.encode(["z"], "books")) == [3]
    assert list(dataset.catalogue.encode(["z"], "films")) == [-1]
    unknown = RawData(raw.interactions, items=pd.DataFrame({"item": ["a", "z"]}))
    assert prepare(unknown, EVERYTHING.model_copy(update={"cold_items": True}))[0].n_items == 6


def test_domains_keep_equal_ids_apart() -> None:
    dataset, _ = prepare(RawData(log(domain=["books"] * 3 + ["films"] * 3)), EVERYTHING)
    assert dataset.catalogue.domains == ("books", "films")
    assert dataset.n_items == 6
    assert dataset.event_domains.tolist() == [0, 0, 0, 1, 1, 1]


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)), min_size=4, max_size=40)


@settings(max_examples=20, deadline=None)
@given(EVENTS, st.sampled_from(["first", "last", "all"]))
def test_repeats_and_order_are_those_of_pandas(rows: list[tuple[int, int, int]], keep: str) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    wanted = frame.sort_values(["user", "timestamp"], kind="stable")
    if keep != "all":
        wanted = wanted.drop_duplicates(["user", "item"], keep=keep)  # type: ignore[arg-type]
    if wanted["user"].nunique() < 2 or wanted["item"].nunique() < 2:
        return
    found = decoded(frame, PrepareConfig(keep=keep, min_user_events=1))  # type: ignore[arg-type]
    assert found == list(zip(wanted["user"], wanted["item"], strict=True))


@settings(max_examples=20, deadline=None)
@given(EVENTS)
def test_the_k_core_is_the_fixed_point(rows: list[tuple[int, int, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"]).drop_duplicates(["user", "item"])
    core = frame
    while True:
        smaller = core[core.groupby("user")["item"].transform("size") >= 2]
        smaller = smaller[smaller.groupby("item")["user"].transform("size") >= 2]
        if len(smaller) == len(core):
            break
        core = smaller
    config = PrepareConfig(min_user_events=2, min_item_events=2)
    if core.empty:
        refused(frame, "Nothing is left", config)
    else:
        assert sorted(decoded(frame, config)) == sorted(zip(core["user"], core["item"], strict=True))


def test_a_scan_and_a_frame_give_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": rng.integers(0, 50, 2000), "item": rng.integers(0, 80, 2000)})
    frame["timestamp"] = 10**9 + rng.integers(0, 500, 2000)
    frame.to_parquet(tmp_path / "log.parquet")
    scan = Scan(f"SELECT * FROM read_parquet('{tmp_path / 'log.parquet'}')")
    assert decoded(frame) == decoded(scan)


def test_figures_of_the_report() -> None:
    frame = log(timestamp=[1e9, 1e9, 2e9, 1e9, 2e9, 3e9], rating=[1, 2, 3, 4, 5, 3])
    _, report = prepare(RawData(frame), EVERYTHING)
    assert report.density == 1.0
    assert report.tied_share == pytest.approx(1 / 4)
    assert report.popularity_gini == pytest.approx(0.0)
    assert report.ratings == {"min": 1.0, "mean": 3.0, "max": 5.0}
    assert report.history_lengths["median"] == 3
