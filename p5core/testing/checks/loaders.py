"""The promises of every loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from p5core.config.prepare import PrepareConfig
from p5core.data.columns import ITEM, USER
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare
from p5core.data.raw import RawData, Scan

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]


def loads_an_interaction_log(subject: Subject) -> None:
    """`load` returns RawData: users and items of each event, and tables with their keys."""
    raw = _load(subject)
    if not isinstance(raw.interactions, Scan):
        _assert_columns(raw.interactions, (USER, ITEM), "interactions")
    for table, key, what in ((raw.items, ITEM, "items"), (raw.users, USER, "users")):
        if table is not None:
            _assert_columns(table, (key,), what)
    assert raw.source.strip(), "source is empty; messages name the data by it."


def what_is_loaded_can_be_prepared(subject: Subject) -> None:
    """Cleaning and encoding take the log as it comes."""
    dataset = _prepare(subject)
    assert dataset.events.items.size, "No event is left after preparation."


def loads_the_same_twice(subject: Subject) -> None:
    """A second load gives the same events in the same order: equal runs need equal data."""
    first, second = _prepare(subject), _prepare(subject)
    same = (first.events.items == second.events.items).all() and list(first.users.ids) == list(second.users.ids)
    assert same, "Two loads gave different events."


def _load(subject: Subject) -> RawData:
    raw = subject.build().load()
    assert isinstance(raw, RawData), f"load() returned {type(raw).__name__}; it must return RawData."
    return raw


def _prepare(subject: Subject) -> Dataset:
    return prepare(_load(subject), PrepareConfig(keep="all", min_user_events=1))[0]


def _assert_columns(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    assert not missing, f"The {what} lack the column {', '.join(missing)}; they have {', '.join(map(str, table))}."


CHECKS: tuple[Check, ...] = (loads_an_interaction_log, what_is_loaded_can_be_prepared, loads_the_same_twice)
