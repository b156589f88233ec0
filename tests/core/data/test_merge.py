"""Several data sets over one catalogue: known codes stay, events keep their meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Dataset, Events
from p5core.data.union import grow_catalogue, grow_users, recode
from p5core.data.vocabulary import Vocabulary
from p5core.errors import DataError


def catalogue(items: list[Any], domain: str | list[str] = "default", **columns: Any) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": items, "domain": domain, **columns}))


def dataset(histories: dict[Any, list[Any]], items: Catalogue) -> Dataset:
    lengths = [len(one) for one in histories.values()]
    raw = [item for one in histories.values() for item in one]
    events = Events(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items.encode(raw) if raw else np.zeros(0, np.int32),
        np.arange(len(raw), dtype=np.int64),
        {"rating": np.arange(len(raw), dtype=np.float32)},
    )
    users = pd.DataFrame({"user": list(histories)})
    return Dataset(events, Vocabulary.of(pd.Index(users["user"])), items, users, has_clock=True)


def decoded(found: Dataset) -> dict[Any, list[tuple[Any, int, float]]]:
    events = found.events
    items = found.catalogue.decode(events.items)
    rows = list(zip(items, events.times.tolist(), events.fields["rating"].tolist(), strict=True))
    users = found.users.decode(np.arange(len(found.users)))
    bounds = zip(events.offsets[:-1].tolist(), events.offsets[1:].tolist(), strict=True)
    return {user: rows[begin:end] for user, (begin, end) in zip(users, bounds, strict=True)}


def test_known_items_keep_their_codes_and_new_ones_follow() -> None:
    grown = grow_catalogue(catalogue(["c", "a"]), catalogue(["b", "a", "d"]))
    assert grown.frame["item"].tolist() == ["c", "a", "b", "d"]
    assert grown.encode(["a", "d", "x"]).tolist() == [1, 3, -1]


def test_one_id_in_two_domains_is_two_items() -> None:
    grown = grow_catalogue(catalogue([1, 2], "books"), catalogue([2, 3], "films"))
    assert list(zip(grown.frame["domain"], grown.frame["item"], strict=True)) == [
        ("books", 1),
        ("books", 2),
        ("films", 2),
        ("films", 3),
    ]
    assert grown.id_kind == "int64"
    assert grown.encode([2], "films").tolist() == [2]


def test_what_the_newer_table_knows_wins() -> None:
    old = catalogue(["a", "b", "c"], title=["A", "B", "C"], size=[1, 2, 3])
    new = catalogue(["b", "c", "d"], title=["B2", None, "D"], colour=["red", "blue", None])
    frame = grow_catalogue(old, new).frame
    assert frame["title"].tolist() == ["A", "B2", "C", "D"]
    assert frame["size"].fillna(-1).tolist() == [1, 2, 3, -1]
    assert frame["colour"].fillna("").tolist() == ["", "red", "blue", ""]
    assert frame["title"].tolist() == grow_catalogue(old, new).titles(np.arange(4))


def test_large_integer_ids_stay_exact() -> None:
    grown = grow_catalogue(catalogue([2**60 + 1]), catalogue([2**60 + 2]))
    assert grown.decode(np.arange(2)) == [2**60 + 1, 2**60 + 2]


def test_ids_of_two_types_are_refused() -> None:
    with pytest.raises(DataError, match="Item ids are of type int64 in one data set and string in the other"):
        grow_catalogue(catalogue([1]), catalogue(["a"]))
    with pytest.raises(DataError, match="User ids are integers in one data set and strings in the other"):
        grow_users(pd.DataFrame({"user": [1]}), pd.DataFrame({"user": ["a"]}))


def test_known_users_keep_their_codes_and_columns() -> None:
    old, new = pd.DataFrame({"user": ["b", "a"], "age": [1, 2]}), pd.DataFrame({"user": ["a", "c"], "age": [9, 3]})
    assert grow_users(old, new).to_dict("list") == {"user": ["b", "a", "c"], "age": [1, 2, 3]}


HISTORIES = st.dictionaries(
    st.integers(0, 8), st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=5
)


@given(HISTORIES, HISTORIES)
def test_recoded_events_mean_what_they_meant(first: dict[int, list[int]], second: dict[int, list[int]]) -> None:
    one, other = (
        dataset(part, catalogue(sorted({item for items in part.values() for item in items})))
        for part in (first, second)
    )
    items, users = grow_catalogue(one.catalogue, other.catalogue), grow_users(one.user_frame, other.user_frame)
    for part in (one, other):
        found = recode(part, items, users)
        assert found.catalogue is items
        assert len(found.users) == found.events.n_users == len(users)
        assert {user: rows for user, rows in decoded(found).items() if rows} == decoded(part)
        assert len(found.events) == len(part.events)


def test_recoding_keeps_domains_apart() -> None:
    books, films = catalogue([1, 2], "books"), catalogue([2, 1], "films")
    grown = grow_catalogue(books, films)
    found = recode(dataset({7: [1, 2]}, films), grown, pd.DataFrame({"user": [7]}))
    assert found.catalogue.decode(found.events.items) == [1, 2]
    assert found.event_domains.tolist() == [1, 1]
