"""Ragged lists and event arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from p5core.data.dataset import Events, Ragged, distinct

lists = st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=8)


def plain(ragged: Ragged) -> list[list[int]]:
    return [ragged[row].tolist() for row in range(len(ragged))]


@given(lists)
def test_lists_come_back(values: list[list[int]]) -> None:
    ragged = Ragged.of(values)
    assert plain(ragged) == values
    assert ragged.lengths.tolist() == [len(one) for one in values]
    assert ragged.rows.tolist() == [row for row, one in enumerate(values) for _ in one]
    assert (ragged.values.dtype, ragged.offsets.dtype) == (np.int32, np.int64)


@given(st.lists(st.integers(-5, 5)))
def test_different_values_are_sorted(values: list[int]) -> None:
    assert distinct(np.array(values, dtype=np.int64)).tolist() == sorted(set(values))


@given(lists, st.data())
def test_take_is_indexing(values: list[list[int]], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(values) - 1))) if values else []
    assert plain(Ragged.of(values).take(np.array(rows, dtype=np.int32))) == [values[row] for row in rows]


def events(histories: list[list[int]], rated: bool) -> Events:
    ragged = Ragged.of(histories)
    n = len(ragged.values)
    fields = {"rating": np.arange(n, dtype=np.float32) / 2, "event": np.arange(n, dtype=np.int32) % 3} if rated else {}
    return Events(ragged.offsets, ragged.values, np.arange(n, dtype=np.int64) * 10, fields)


@given(lists.filter(bool), st.booleans(), st.data())
def test_select_keeps_users_and_order(histories: list[list[int]], rated: bool, data: st.DataObject) -> None:
    log = events(histories, rated)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log))), dtype=bool)
    chosen = log.select(keep)
    assert chosen.n_users == log.n_users
    assert chosen.users.tolist() == log.users[keep].tolist()
    assert chosen.items.tolist() == log.items[keep].tolist()
    assert chosen.times.tolist() == log.times[keep].tolist()
    assert {name: values.tolist() for name, values in chosen.fields.items()} == {
        name: values[keep].tolist() for name, values in log.fields.items()
    }


def test_users_without_events_are_counted() -> None:
    log = events([[], [3, 4], []], rated=False)
    assert (log.n_users, len(log)) == (3, 2)
    assert log.users.tolist() == [1, 1]
    assert plain(log.histories) == [[], [3, 4], []]
