"""Models of which item goes with which: one sparse table, and how much each item of a history counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor

from p5core.contracts.scorer import ItemNeighbours, Scorer
from p5core.data.dataset import Events, Ragged

__all__ = ["ItemItem"]

POPULARITY_SHARE = 1e-9
"""Score of the most popular item for its popularity alone; far below any neighbour, so it only orders the rest."""


class ItemItem(Scorer):
    """score(j) = Σ_i weight(age(i)) · similarity(i, j), i over the newest history items (age 0 is the newest).

    A vanishing share of j's popularity is added: items that no history item reaches follow in order of their
    popularity, and an empty history gets the popular items.
    """

    similarity: csr_array
    """(V, V) float32, row i holds the neighbours of item i"""

    popularity: npt.NDArray[np.float32]
    """(V,) training events as a share of the most popular item's"""

    @abstractmethod
    def age_weights(self) -> npt.NDArray[np.float64]:
        """(L,) weight of the newest history items by their age; older ones are not read."""

    def learn(self, similarity: csr_array, events: Events) -> None:
        """Keep the table, and the popularity of items among the training events."""
        self.similarity = similarity
        counts = np.bincount(events.items, events.weights, minlength=similarity.shape[0])
        self.popularity = (counts / (counts.max(initial=0) or 1)).astype(np.float32)

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores; nothing is known of `users` but their histories."""
        of_age = self.age_weights()
        ages = histories.offsets[1:][histories.rows] - np.arange(len(histories.values)) - 1
        recent = ages < len(of_age)
        where = (histories.rows[recent], histories.values[recent])
        entries = of_age[ages[recent]].astype(np.float32)
        weights = csr_array((entries, where), shape=(len(histories), len(self.popularity)))
        scores = (weights @ self.similarity).toarray()  # (B, V)
        scores += POPULARITY_SHARE * self.popularity
        return torch.from_numpy(scores)

    def contributions(self, history: npt.NDArray[np.int32], item: int) -> npt.NDArray[np.float64]:
        """(n,) the share of each item of a history, oldest first, in the score of `item`."""
        of_age = self.age_weights()
        ages = np.arange(len(history))[::-1]
        weights = np.where(ages < len(of_age), of_age[np.minimum(ages, len(of_age) - 1)], 0.0)
        contributed: npt.NDArray[np.float64] = weights * self.similarity[history][:, [item]].toarray()[:, 0]
        return contributed

    def export(self) -> ItemNeighbours | None:
        """The neighbours of each item, as many as the item with the most has."""
        n_items, sizes = len(self.popularity), np.diff(self.similarity.indptr)
        rows = np.repeat(np.arange(n_items), sizes)
        places = np.arange(len(rows)) - self.similarity.indptr[rows]
        shape = (n_items, max(1, int(sizes.max(initial=0))))
        codes, values = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.float32)
        codes[rows, places], values[rows, places] = self.similarity.indices, self.similarity.data
        return ItemNeighbours(codes, values, self.age_weights().astype(np.float32))

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """The table and the popularity."""
        table = self.similarity
        return {"indptr": table.indptr, "indices": table.indices, "data": table.data, "popularity": self.popularity}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        n_items = len(state["popularity"])
        self.similarity = csr_array((state["data"], state["indices"], state["indptr"]), shape=(n_items, n_items))
        self.popularity = state["popularity"]
