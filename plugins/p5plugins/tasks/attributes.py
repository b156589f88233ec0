"""The attributes of users and items as tables of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, hstack

from p5core.data.catalogue import Entities
from p5core.data.dataset import Events
from p5plugins.tasks.gibbs import Design

__all__ = ["design_of", "rated_items", "rating_users"]

BINS = 20
"""Ranges of equal numbers of entities, into which a column of more different numbers is cut."""


def design_of(entities: Entities, columns: Sequence[str] | Literal["all"], implicit: csr_array | None) -> Design:
    """The values of columns that two entities or more share, one group a column, and a group of what was rated."""
    names = [name for name in entities.features if columns == "all" or name in columns]
    tables = [_held(entities.frame[name]) for name in names] + ([] if implicit is None else [implicit])
    groups = np.repeat(np.arange(len(tables)), [table.shape[1] for table in tables])
    whole = csr_array(hstack(tables)) if tables else csr_array((len(entities), 0))
    return Design(whole, groups.astype(np.int64))


def rated_items(events: Events, n_items: int) -> csr_array:
    """(U, V) the items that a user rated, each counting 1 / √n among n (SVD++: Koren, doi 10.1145/1401890.1401944)."""
    return _by_root(csr_array((np.ones(len(events)), (events.users, events.items)), shape=(events.n_users, n_items)))


def rating_users(events: Events, n_items: int) -> csr_array:
    """(V, U) the users who rated an item, each counting 1 / √n among n."""
    return _by_root(csr_array((np.ones(len(events)), (events.items, events.users)), shape=(n_items, events.n_users)))


def _by_root(table: csr_array) -> csr_array:
    table.sum_duplicates()
    table.data = np.repeat(np.maximum(np.diff(table.indptr), 1) ** -0.5, np.diff(table.indptr))
    return table


def _held(column: pd.Series[Any]) -> csr_array:
    """(N, values) 1 where an entity has a value; numbers of many values are cut into ranges."""
    if column.dtype.kind in "iuf" and column.nunique() > BINS:
        column = pd.qcut(column, BINS, duplicates="drop").astype("str").where(column.notna())
    rows, values = [], []
    for row, cell in enumerate(column.tolist()):
        own = {value for value in _values(cell) if value}
        rows += [row] * len(own)
        values += sorted(own)
    codes, names = pd.factorize(np.array(values, dtype=object))
    held = csr_array((np.ones(len(rows)), (rows, codes)), shape=(len(column), len(names)))
    return csr_array(held[:, np.flatnonzero(np.bincount(codes, minlength=len(names)) > 1)])


def _values(cell: Any) -> Iterable[str]:
    if isinstance(cell, str):
        return (part.strip() for part in cell.split("|"))
    if isinstance(cell, Iterable):
        return (str(part) for part in cell)
    return () if pd.isna(cell) else (str(cell),)
