"""Counting which items occur near each other in histories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from p5core.data.dataset import Events
from p5plugins.similarity.sparse import row_numbers, strongest

__all__ = ["Counting", "count_pairs"]

PAIRS_AT_ONCE = 8_000_000
"""Pairs of events that are held in memory while counting."""


class Counting(Protocol):
    """Options of counting; see `CoOccurrenceConfig`."""

    @property
    def window(self) -> int: ...
    @property
    def distance_decay(self) -> float: ...
    @property
    def backward(self) -> float: ...
    @property
    def damping(self) -> float: ...
    @property
    def source_damping(self) -> float: ...
    @property
    def content_pairs(self) -> float: ...
    @property
    def n_neighbours(self) -> int: ...


def count_pairs(
    events: Events, counts: npt.NDArray[np.int64], config: Counting, content: csr_array | None = None
) -> csr_array:
    """(V, V) the strongest neighbours of each item, counted in blocks of items; `counts` (V,) are events of each.

    `content` (V, V), rows of sum 1, holds items alike: `config.content_pairs` pairs of each item are assumed to have
    been seen with them besides, so that an item with few events leans on its content.
    """
    n_items = len(counts)
    damped = np.maximum(counts, 1) ** -config.damping
    source_damped = np.maximum(counts, 1) ** -config.source_damping
    blocks = []
    for first, last, places in _blocks(events, counts, 2 * config.window):
        block = _pairs(events, places, first, (last - first, n_items), config)
        if content is not None:
            block = csr_array(block + np.float32(config.content_pairs) * content[first:last])
        block.data *= source_damped[first + row_numbers(block)] * damped[block.indices]
        blocks.append(strongest(block, first, config.n_neighbours))
    return csr_array(vstack(blocks, format="csr"))


def _blocks(
    events: Events, counts: npt.NDArray[np.int64], pairs_each: int
) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    """Cut the items into ranges of a bounded number of pairs: first, one past the last, places of their events."""
    order = np.argsort(events.items, kind="stable")
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        begin = ends[first] - counts[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + PAIRS_AT_ONCE // pairs_each, side="right")))
        yield first, last, order[begin : ends[last - 1]]
        first = last


def _pairs(
    events: Events, places: npt.NDArray[np.int64], first: int, shape: tuple[int, int], config: Counting
) -> csr_array:
    """Weighted counts of what stands within the window around the events at `places`; their items begin at `first`."""
    users = np.searchsorted(events.offsets, places, side="right") - 1
    of_event = events.weights
    begins, ends = events.offsets[users], events.offsets[users + 1]
    rows, columns, weights = [], [], []
    for distance in range(1, config.window + 1):
        weight = distance**-config.distance_decay
        for step, value in ((distance, weight), (-distance, weight * config.backward)):
            inside = places[(places + step >= begins) & (places + step < ends)]
            rows.append(events.items[inside] - first)
            columns.append(events.items[inside + step])
            counted = np.full(len(inside), value, dtype=np.float32)
            weights.append(counted if of_event is None else counted * of_event[inside] * of_event[inside + step])
    where = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(weights), where), shape=shape)
