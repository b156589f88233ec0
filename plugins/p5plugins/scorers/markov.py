"""Markov chains: which item followed which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.sparse import csr_array
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import ItemNeighbours
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.similarity.item_item import ItemItem
from p5plugins.similarity.sparse import strongest

__all__ = ["Markov", "MarkovConfig"]


class MarkovConfig(Config):
    """Options of Markov chains."""

    order: Literal[1, 2] = 1
    """Number of last items that decide; a chain of order 2 cannot be exported."""

    smoothing: Annotated[float, Tunable(0.1, 30, log=True)] = Field(3.0, gt=0, le=1e6)
    """Weight of the shorter chain beside the counts of two items, in events."""

    n_neighbours: int = Field(200, ge=1, le=100_000)
    """Number of following items kept for each item."""


class Markov(ItemItem):
    """The share of each item among those that followed the last one, or the last two, in the training events.

    Order 2: P(j | a, b) = (n(a, b, j) + smoothing · P(j | b)) / (n(a, b) + smoothing), the interpolation of Jelinek
    and Mercer (1980). Repeats of an item are no transitions.
    """

    name = "markov"
    reads_order = True
    Config = MarkovConfig
    config: MarkovConfig

    pairs: npt.NDArray[np.int64]
    """(P,) the pairs a · V + b that were followed by something, ascending; empty for order 1"""

    followers: csr_array
    """(P, V) float32 counts of what followed each pair"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Count what follows each item, and each pair of items."""
        n_items = len(catalogue)
        same = events.users[1:] == events.users[:-1]
        weights = np.ones(len(events), np.float32) if events.weights is None else events.weights
        steps = np.flatnonzero(same & (events.items[1:] != events.items[:-1])) + 1  # places of the second items
        counts = csr_array((weights[steps], (events.items[steps - 1], events.items[steps])), shape=(n_items, n_items))
        totals = np.maximum(np.asarray(counts.sum(axis=1)), np.finfo(np.float32).tiny)
        shares = csr_array(counts.multiply(1 / totals[:, None]).astype(np.float32))
        self.learn(strongest(shares, 0, self.config.n_neighbours), events)
        self._count_pairs(events, weights, steps, n_items)

    def _count_pairs(
        self, events: Events, weights: npt.NDArray[np.float32], steps: npt.NDArray[np.int64], n_items: int
    ) -> None:
        third = steps[np.isin(steps - 1, steps)] if self.config.order == 2 else steps[:0]
        keys = events.items[third - 2].astype(np.int64) * n_items + events.items[third - 1]
        self.pairs, rows = np.unique(keys, return_inverse=True)
        self.followers = csr_array((weights[third], (rows, events.items[third])), shape=(len(self.pairs), n_items))

    def age_weights(self) -> npt.NDArray[np.float64]:
        """The last item alone counts."""
        return np.ones(1)

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) shares of what followed; where nothing did, popularity orders the items."""
        scores = super().scores(users, histories).numpy()
        if self.config.order == 2 and len(self.pairs):
            rows = np.flatnonzero(histories.lengths >= 2)
            ends = histories.offsets[1:][rows]
            keys = histories.values[ends - 2].astype(np.int64) * scores.shape[1] + histories.values[ends - 1]
            places = np.minimum(np.searchsorted(self.pairs, keys), len(self.pairs) - 1)
            is_there = self.pairs[places] == keys
            rows, counts = rows[is_there], self.followers[places[is_there]].toarray()
            smoothing = np.float32(self.config.smoothing)
            totals = counts.sum(axis=1, keepdims=True) + smoothing
            scores[rows] = (counts + smoothing * scores[rows]) / totals
        return torch.from_numpy(scores)

    def contributions(self, history: npt.NDArray[np.int32], item: int) -> npt.NDArray[np.float64]:
        """(n,) all of the score is due to the last item, or to the last two in equal parts."""
        score = float(self.scores(np.zeros(1, np.int32), Ragged.of([history.tolist()]))[0, item])
        n_read = min(self.config.order, len(history))
        return np.concatenate([np.zeros(len(history) - n_read), np.full(n_read, score / max(1, n_read))])

    def export(self) -> ItemNeighbours | None:
        """The item-item form; None for order 2, which has none."""
        return super().export() if self.config.order == 1 else None

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """The shares of single items, and the counts of pairs."""
        table = self.followers
        counts = {"pair_indptr": table.indptr, "pair_indices": table.indices, "pair_data": table.data}
        return {**super().state(), "pairs": self.pairs, **counts}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        super().restore(state)
        self.pairs = state["pairs"]
        parts = (state["pair_data"], state["pair_indices"], state["pair_indptr"])
        self.followers = csr_array(parts, shape=(len(self.pairs), len(self.popularity)))
