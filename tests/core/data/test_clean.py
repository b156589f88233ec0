"""Cleaning: what goes, what stays and in which order, against brute force; ids and features that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare
from p5core.data.profile.report import with_split
from p5core.data.profile.report_text import report_text
from p5core.data.raw import RawData, Scan
from p5core.data.tables.sql import NULL_WORDS
from p5core.errors import DataError

EVERYTHING = PrepareConfig(keep="all", min_user_events=1)

Rows = list[tuple[int, int, int]]
ROWS: st.SearchStrategy[Rows] = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 5)), min_size=1, max_size=40
).map(lambda rows: [(0, 0, 1), (1, 1, 1), *rows])
"""Logs of two users and two items at least."""


def log(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": ["a", "b", "c", "a", "b", "c"], **columns})


def refused(match: str, frame: pd.DataFrame | Scan, config: PrepareConfig = EVERYTHING, **raw: Any) -> None:
    with pytest.raises(DataError, match=match):
        prepare(RawData(frame, source="log.csv", header_rows=1, **raw), config)


def decoded(dataset: Dataset) -> list[tuple[Any, Any, int]]:
    events = dataset.events
    users, items = dataset.users.decode(events.users), dataset.catalogue.decode(events.items)
    return list(zip(users, items, events.times.tolist(), strict=True))


@pytest.mark.parametrize(
    ("ids", "match"),
    [
        ([2.0**53, 1, 2, 3, 4, np.nan], "row 2, column 'item': 9007199254740992.0 is too large to be exact as a float"),
        ([1.0, 1.5, 2, 3, 4, np.nan], "row 3, column 'item': 1.5 is no id; ids must be strings or 64-bit integers"),
        ([1.0, np.inf, 2, 3, 4, 5], "row 3, column 'item': inf is"),
        (pd.Series(["a", 2, "c", "a", "b", "c"], dtype=object), "row 3, column 'item': 2 is of another type than"),
        (pd.Series([None, 2, 3, 4, "b", 5], dtype=object), "row 6, column 'item': 'b' is of another type than"),
        (pd.Series([True, 2, 3, 4, 5, 6], dtype=object), "log.csv cannot be read: .*BOOLEAN does not match"),
        ([b"a", b"b", b"c", b"d", b"e", b"f"], "column 'item' is of type BLOB; ids must be strings or integers"),
    ],
)
def test_ids_that_are_none_are_refused(ids: Any, match: str) -> None:
    refused(match, log(item=ids))


def test_json_ids_are_refused() -> None:
    refused(
        "column 'user' is of type JSON; ids must be strings or integers. Name another column",
        Scan("SELECT CAST(range AS JSON) AS user, 1 AS item FROM range(3)"),
    )


def test_a_query_that_fails_is_said_in_a_line() -> None:
    refused(
        "^log.csv cannot be read: Catalog Error: Table with name nowhere does not exist!.$",
        Scan("SELECT * FROM nowhere"),
    )


def test_columns_of_one_name_are_refused() -> None:
    twice = pd.DataFrame([[1, "a", "b"]], columns=["user", "item", "item"])
    refused("log.csv has two columns 'item'. Rename or remove one", twice)


def test_a_missing_domain_is_refused() -> None:
    refused("row 3, column 'domain': the domain is missing", log(domain=["x", None, "x", "x", "x", "x"]))
    refused("row 4, column 'domain': the domain is missing", log(domain=["x", "x", "", "x", "x", "x"]))


@pytest.mark.parametrize("rating", [np.inf, -np.inf, 1e39])
def test_ratings_are_finite(rating: float) -> None:
    refused("row 4, column 'rating': the rating '.*' is no finite number", log(rating=[1, 2, rating, 4, 5, 1]))


def test_too_little_memory_is_said() -> None:
    config = PrepareConfig(keep="all", min_user_events=1, memory_limit="1KB")
    refused("prepare.memory_limit = '1KB' does not suffice for log.csv. Give it more", log(), config)


@pytest.mark.parametrize(
    ("items", "match"),
    [
        ({"id": ["a"]}, "items table: it has no column 'item'. Its columns: id"),
        ({"item": ["a", None, "b", None, "a"]}, "items table, row 1: the id 'a' stands in row 5 too. Remove one"),
        ({"item": ["a"], "size": pd.Series([1], dtype=object)}, ""),
        (
            {"item": ["a", "b"], "size": pd.Series([1, "large"], dtype=object)},
            "items table, column 'size' mixes types: .*'large'",
        ),
    ],
)
def test_item_tables_that_cannot_be_used(items: dict[str, Any], match: str) -> None:
    if match:
        refused(f"log.csv, {match}", log(), items=pd.DataFrame(items))
    else:
        prepare(RawData(log(), items=pd.DataFrame(items)), EVERYTHING)


def test_rows_of_an_item_table_with_ids_of_another_type_are_left_out_and_told() -> None:
    items = pd.DataFrame({"item": [None, "9007199254740993", "2.5", "GIFT", "3"], "size": [1, 2, 3, 4, 5]})
    data = RawData(log(item=[1, 9007199254740993, 3] * 2), items=items)
    dataset, report = prepare(data, EVERYTHING)
    assert dataset.catalogue.frame["size"].fillna(-1).tolist() == [-1, 5, 2]
    note = "2 rows of the items table have an id that is no integer, such as '2.5' in row 3, and are left out"
    assert note in report.notes


def test_an_item_table_without_one_id_of_the_right_type_is_refused() -> None:
    refused(
        "items table, row 2: the id 'a' is no integer, but the events have integer ids. Name the column .* by items_id",
        log(item=[1, 2, 3] * 2),
        items=pd.DataFrame({"item": [None, "a", "2.5"]}),
    )


def test_rows_of_tables_without_an_id_are_left_out_and_told() -> None:
    items = pd.DataFrame({"item": pd.array([1, None, None, 3], dtype="Int64"), "matched": [10, 20, 30, 40]})
    dataset, report = prepare(RawData(log(item=[1, 2, 3] * 2), items=items), EVERYTHING)
    assert dataset.catalogue.frame["matched"].fillna(-1).tolist() == [10, -1, 40]
    assert "2 rows of the items table have no id and are left out" in report.notes
    assert "1 of 3 items have no row in the items table; their features are missing" in report.notes


def test_integers_of_the_item_table_meet_text_and_the_other_way_round() -> None:
    for ids, known in ((["1", "2", "3"], [3, 1, 2]), ([1, 2, 3], ["3", "1", "2.0"])):
        items = pd.DataFrame({"item": known, "size": [30, 10, 20]})
        dataset, _ = prepare(RawData(log(item=ids * 2), items=items), EVERYTHING)
        assert dataset.catalogue.frame["size"].tolist() == [10, 20, 30]


def test_equal_ids_of_two_domains_have_features_of_their_own() -> None:
    items = pd.DataFrame({"item": ["a", "a"], "domain": ["films", "books"], "size": [1, 2]})
    frame = log(item=["a", "a", "b"] * 2, domain=["books", "films", "books"] * 2)
    dataset, report = prepare(RawData(frame, items=items), EVERYTHING)
    known = dataset.catalogue.frame.fillna(-1)
    assert known[["domain", "item", "size"]].values.tolist() == [
        ["books", "a", 2],
        ["books", "b", -1],
        ["films", "a", 1],
    ]
    assert report.missing_features == {"size": pytest.approx(1 / 3)}


def test_users_keep_their_columns() -> None:
    dataset, _ = prepare(RawData(log(), users=pd.DataFrame({"user": [2, 1], "age": [20, 10]})), EVERYTHING)
    assert dataset.user_frame.to_dict("list") == {"user": [1, 2], "age": [10, 20]}


def test_a_column_called_row_is_no_obstacle() -> None:
    assert decoded(prepare(RawData(log(row=[5, 4, 3, 2, 1, 0])), EVERYTHING)[0])[0] == (1, "a", 1)


def test_the_minimum_rating_itself_stays() -> None:
    frame = log(rating=[0.7, 0.7, 0.6999, 0.7, 0.71, 0.2])
    dataset, report = prepare(RawData(frame), PrepareConfig(keep="all", min_user_events=1, min_rating=0.7))
    assert len(dataset.events) == 4
    assert [(one.reason, one.rows) for one in report.dropped] == [("rating below 0.7", 2)]


NO_ID = {"\0", *(chr(code) for code in range(0xD800, 0xE000))}
IDS = st.text(min_size=1, max_size=5).filter(
    lambda text: not NO_ID & set(text) and text == text.strip() and text not in NULL_WORDS
)


@settings(max_examples=10, deadline=None)
@given(st.lists(IDS, min_size=2, max_size=8, unique=True))
def test_any_text_is_an_id_and_comes_back_as_it_was(ids: list[str]) -> None:
    frame = pd.DataFrame({"user": ids, "item": list(reversed(ids))})
    dataset, _ = prepare(RawData(frame), EVERYTHING)
    assert {(user, item) for user, item, _ in decoded(dataset)} == set(zip(ids, reversed(ids), strict=True))
    assert dataset.users.decode(dataset.users.encode(ids)) == ids
    assert dataset.users.ids.tolist() == sorted(ids, key=lambda one: one.encode())


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["user", "timestamp"], kind="stable")


@settings(max_examples=10, deadline=None)
@given(ROWS, st.sampled_from(["first", "last", "all"]))
def test_repeats_go_as_in_pandas(rows: Rows, keep: Literal["first", "last", "all"]) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    wanted = in_order(frame)
    if keep != "all":
        wanted = wanted.drop_duplicates(["user", "item"], keep=keep)
    dataset, report = prepare(RawData(frame), PrepareConfig(keep=keep, min_user_events=1))
    assert decoded(dataset) == list(wanted.itertuples(index=False, name=None))
    assert sum(one.rows for one in report.dropped) == len(frame) - len(wanted)


def core_of(frame: pd.DataFrame, least_users: int, least_items: int) -> pd.DataFrame:
    while True:
        rare_users = frame.groupby("user")["item"].transform("size") < least_users
        rare_items = frame.groupby("item")["user"].transform("size") < least_items
        if not (rare_users | rare_items).any():
            return frame
        frame = frame[~(rare_users | rare_items)]


@settings(max_examples=10, deadline=None)
@given(ROWS, st.integers(1, 3), st.integers(1, 3))
def test_the_k_core_is_the_largest_that_satisfies_both(rows: Rows, least_users: int, least_items: int) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    wanted = in_order(core_of(frame, least_users, least_items))
    config = PrepareConfig(keep="all", min_user_events=least_users, min_item_events=least_items)
    if wanted.empty:
        refused("Nothing is left: of .* Lower prepare.min_user_events or prepare.min_item_events", frame, config)
    elif wanted["user"].nunique() == 1 or wanted["item"].nunique() == 1:
        refused("Only one (user|item) is left, and one", frame, config)
    else:
        assert decoded(prepare(RawData(frame), config)[0]) == list(wanted.itertuples(index=False, name=None))


@settings(max_examples=10, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_ties_alone(rows: Rows, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (
        prepare(RawData(pd.DataFrame(one, columns=["user", "item", "timestamp"])), EVERYTHING)[0]
        for one in (rows, shuffled)
    )
    assert sorted(decoded(first)) == sorted(decoded(second))
    assert first.catalogue.frame.equals(second.catalogue.frame)
    for dataset in (first, second):
        events = dataset.events
        order = list(zip(events.users.tolist(), events.times.tolist(), strict=True))
        assert order == sorted(order)
        assert events.offsets[-1] == len(events) == len(rows)
        assert (np.diff(events.offsets) > 0).all()


@settings(max_examples=10, deadline=None)
@given(ROWS)
def test_figures_are_those_of_brute_force(rows: Rows) -> None:
    frame = in_order(pd.DataFrame(rows, columns=["user", "item", "timestamp"]))
    dataset, report = prepare(RawData(frame, time_unit="s"), EVERYTHING)
    counts = frame["item"].value_counts().to_numpy()
    apart = np.abs(counts[:, None] - counts).sum() / (2 * len(counts) ** 2 * counts.mean())
    assert report.popularity_gini == pytest.approx(apart)
    assert report.density == pytest.approx(len(frame) / (frame["user"].nunique() * frame["item"].nunique()))
    assert report.repeat_rate == pytest.approx(frame.duplicated(["user", "item"]).mean())
    gaps = frame.groupby("user")["timestamp"].diff().dropna()
    assert report.tied_share == pytest.approx(float((gaps == 0).mean()) if len(gaps) else 0.0)
    assert report.top_percent_share == pytest.approx(counts.max() / counts.sum())
    lengths = frame.groupby("user").size()
    wanted = {"min": lengths.min(), "mean": lengths.mean(), "max": lengths.max(), "median": lengths.median()}
    assert report.history_lengths == pytest.approx(wanted)
    assert (report.n_events, report.n_users, report.n_items) == (len(frame), dataset.events.n_users, dataset.n_items)


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_a_frame_and_a_file_give_equal_data_sets(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"user": rng.integers(0, 60, 3000), "item": rng.integers(0, 90, 3000)})
    if kind == "string":
        frame = frame.map(lambda one: f"é{one}")
    frame["timestamp"] = 10**9 + rng.integers(0, 500, 3000)
    frame["rating"] = rng.integers(1, 6, 3000) / 2
    frame.to_parquet(tmp_path / "log.parquet")
    scan = Scan(f"SELECT * FROM read_parquet('{tmp_path / 'log.parquet'}')")
    config = PrepareConfig(keep="last", min_rating=1.0, min_user_events=10, min_item_events=10)
    (one, first), (other, second) = prepare(RawData(frame), config), prepare(RawData(scan), config)
    assert decoded(one) == decoded(other)
    assert np.array_equal(one.events.fields["rating"], other.events.fields["rating"])
    assert one.users.kind == other.users.kind == one.catalogue.id_kind == kind
    assert first == second


def test_a_report_is_told_and_stored() -> None:
    items = pd.DataFrame({"item": ["a", "b"], "genre": ["x", None]})
    _, report = prepare(RawData(log(rating=[1, 2, 3, 4, 5, 3]), items=items, notes=("guessed",)), EVERYTHING)
    report = with_split(report, 0.25, ["events overlap"])
    stored = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert stored["n_read"] == 6
    assert stored["cold_share"] == 0.25
    assert stored["missing_features"] == {"genre": pytest.approx(2 / 3)}
    text = report_text(report)
    for line in (
        "note: guessed",
        "2 users, 3 items, 6 events",
        "ratings: 1 to 5, mean 3.00",
        "genre: 66.7%",
        "25.0% of the test",
        "warning: events overlap",
    ):
        assert line in text
