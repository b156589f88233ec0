"""An item-to-item memory: what is had next to what, without any training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor

from p5core.data.dataset import Events, Ragged
from p5core.model.options import NeighboursConfig
from p5core.model.sparse import row_numbers, strongest

__all__ = ["Neighbours"]

POPULARITY_SHARE = 1e-9
"""What the most popular item scores for its popularity alone; far below any neighbour, so it only orders the rest."""

PAIRS_AT_ONCE = 8_000_000
"""How many pairs of events are held in memory while counting."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Scores items by how often they were had near the items of a history, newer ones counting more.

    score(j) = Σ_i recency^age(i) · similarity(i, j), i over the newest history items (age 0 is the newest), plus a
    vanishing share of j's popularity. So items that no history item reaches follow in order of their popularity, and
    an empty history gets the popular items. Only the best neighbours of each item are kept: memory grows with the
    catalogue, not with its square. Built on the counts of item-to-item collaborative filtering (Sarwar et al.,
    doi 10.1145/371920.372071), with order and distance as in sequence-aware neighbourhood models (Ludewig and Jannach,
    arXiv 1803.09587).
    """

    similarity: csr_array
    """(V, V) float32, row i holds the neighbours of item i"""

    popularity: npt.NDArray[np.float32]
    """(V,) training events as a share of the most popular item's"""

    config: NeighboursConfig

    @classmethod
    def fit(
        cls, events: Events, n_items: int, config: NeighboursConfig | None = None, content: csr_array | None = None
    ) -> Neighbours:
        """Count pairs of training events in blocks of items.

        `content` (V, V), rows of sum 1, says which items are alike: `config.content_pairs` pairs of each item are
        thought to have been seen with them besides, so that an item with few events leans on what it is.
        """
        config = NeighboursConfig() if config is None else config
        counts = np.bincount(events.items, minlength=n_items)
        damped = np.maximum(counts, 1) ** -config.damping
        source_damped = np.maximum(counts, 1) ** -config.source_damping
        blocks = []
        for first, last, places in _blocks(events, counts, 2 * config.window):
            block = _pairs(events, places, first, (last - first, n_items), config)
            if content is not None:
                block = csr_array(block + np.float32(config.content_pairs) * content[first:last])
            block.data *= source_damped[first + row_numbers(block)] * damped[block.indices]
            blocks.append(strongest(block, first, config.n_neighbours))
        popularity = counts / max(1, counts.max(initial=0))
        return cls(csr_array(vstack(blocks, format="csr")), popularity.astype(np.float32), config)

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores; nothing is known of `users` but their histories."""
        ages = histories.offsets[1:][histories.rows] - np.arange(len(histories.values)) - 1
        recent = ages < self.config.n_recent
        entries = (self.config.recency ** ages[recent]).astype(np.float32)
        where = (histories.rows[recent], histories.values[recent])
        weights = csr_array((entries, where), shape=(len(histories), len(self.popularity)))
        scores = (weights @ self.similarity).toarray()  # (B, V)
        scores += POPULARITY_SHARE * self.popularity
        return torch.from_numpy(scores)

    def contributions(self, history: npt.NDArray[np.int32], item: int) -> npt.NDArray[np.float64]:
        """(n,) how much each item of a history, oldest first, adds to the score of `item`."""
        ages = np.arange(len(history))[::-1]
        weights = np.where(ages < self.config.n_recent, self.config.recency**ages, 0.0)
        found: npt.NDArray[np.float64] = weights * self.similarity[history][:, [item]].toarray()[:, 0]
        return found


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
    events: Events, places: npt.NDArray[np.int64], first: int, shape: tuple[int, int], config: NeighboursConfig
) -> csr_array:
    """Weighted counts of what stands within the window around the events at `places`; their items begin at `first`."""
    users = np.searchsorted(events.offsets, places, side="right") - 1
    begins, ends = events.offsets[users], events.offsets[users + 1]
    rows, columns, weights = [], [], []
    for distance in range(1, config.window + 1):
        weight = distance**-config.distance_decay
        for step, value in ((distance, weight), (-distance, weight * config.backward)):
            found = places[(places + step >= begins) & (places + step < ends)]
            rows.append(events.items[found] - first)
            columns.append(events.items[found + step])
            weights.append(np.full(len(found), value, dtype=np.float32))
    where = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(weights), where), shape=shape)
