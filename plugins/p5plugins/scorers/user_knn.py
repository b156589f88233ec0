"""Nearest users, or sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.sparse import csr_array
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.similarity.sparse import history_table, row_numbers

__all__ = ["UserKNN", "UserKNNConfig"]

ROWS_AT_ONCE = 64
"""Histories that are compared with all users together."""

RECENCIES = (1.0, 0.8, 0.5)
"""Weights by age to choose from on validation events."""

POPULARITY_SHARE = 1e-9
"""Score of the most popular item for its popularity alone; it only orders what no neighbour has."""


class UserKNNConfig(Config):
    """Options of nearest users."""

    n_neighbours: Annotated[int, Tunable(20, 1000, log=True)] = Field(200, ge=1, le=1_000_000)
    """Number of most similar users whose items count."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.8, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(100, ge=1, le=100_000)
    """Number of most recent history items that are read."""

    rarity: float = Field(1.0, ge=0, le=3)
    """Exponent of log(users / users of the item): rare items tell more."""

    choose: bool = True
    """Choose among weights by age on validation events."""


class UserKNN(Scorer):
    """Items of the users whose histories are most like the one asked about; for sessions as well as for people.

    Similarity is the cosine of weighted histories, where rare items and, in the history asked about, recent ones count
    more: the ideas of VSTAN (Ludewig et al., arXiv 1910.12781) on user-based filtering (Herlocker et al., doi
    10.1145/312624.312682). It keeps all training histories, and has no exported form.
    """

    name = "user_knn"
    Config = UserKNNConfig
    config: UserKNNConfig

    table: csr_array
    """(users, V) float32 training histories, rare items weighted more, each row of length 1"""

    rarity: npt.NDArray[np.float32]
    """(V,) weight of each item"""

    popularity: npt.NDArray[np.float32]
    """(V,) training events as a share of the most popular item's"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Keep the histories."""
        table = history_table(events, len(catalogue))
        holders = np.bincount(table.indices, minlength=len(catalogue))
        self.rarity = (np.log((1 + table.shape[0]) / (1 + holders)) ** self.config.rarity).astype(np.float32)
        self.popularity = (holders / (holders.max(initial=0) or 1)).astype(np.float32)
        table.data = table.data * self.rarity[table.indices]
        self.table = _unit(table)

    @classmethod
    def fit_variants(cls, config: UserKNNConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Weights by age, which the histories that are kept do not depend on."""
        first = cls(config)
        first.fit(events, catalogue)
        for recency in dict.fromkeys([config.recency, *(RECENCIES if config.choose else ())]):
            scorer = cls(config.model_copy(update={"recency": recency}))
            scorer.restore(first.state())
            yield scorer

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) items of the nearest users, weighted by similarity."""
        blocks = [
            self._scores(histories.take(np.arange(first, min(first + ROWS_AT_ONCE, len(histories)))))
            for first in range(0, len(histories), ROWS_AT_ONCE)
        ]
        scores = np.concatenate(blocks) if blocks else np.zeros((0, len(self.rarity)), np.float32)
        scores += POPULARITY_SHARE * self.popularity
        return torch.from_numpy(scores)

    def _scores(self, histories: Ragged) -> npt.NDArray[np.float32]:
        ages = histories.offsets[1:][histories.rows] - np.arange(len(histories.values)) - 1
        recent = ages < self.config.n_recent
        items = histories.values[recent]
        weights = (self.config.recency ** ages[recent]).astype(np.float32) * self.rarity[items]
        asked = _unit(csr_array((weights, (histories.rows[recent], items)), shape=(len(histories), len(self.rarity))))
        nearest = _nearest(csr_array(asked @ self.table.T), self.config.n_neighbours)
        scores: npt.NDArray[np.float32] = (nearest @ self.table).toarray()
        return scores

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """The histories, and the weights of items."""
        table = self.table
        arrays = {"indptr": table.indptr, "indices": table.indices, "data": table.data}
        return {**arrays, "rarity": self.rarity, "popularity": self.popularity}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self.rarity, self.popularity = state["rarity"], state["popularity"]
        shape = (len(state["indptr"]) - 1, len(self.rarity))
        self.table = csr_array((state["data"], state["indices"], state["indptr"]), shape=shape)


def _unit(table: csr_array) -> csr_array:
    """The rows at length 1."""
    lengths = np.sqrt(np.asarray((table * table).sum(axis=1)))
    lengths = np.maximum(lengths, np.finfo(np.float32).tiny).astype(np.float32)
    return csr_array((table.data / lengths[row_numbers(table)], table.indices, table.indptr), shape=table.shape)


def _nearest(similarity: csr_array, n: int) -> csr_array:
    """The largest entries of each row; equal ones by lower column."""
    rows = row_numbers(similarity)
    order = np.lexsort((similarity.indices, -similarity.data, rows))
    sizes = np.diff(similarity.indptr)
    nth = np.arange(len(order)) - np.repeat(similarity.indptr[:-1], sizes)
    kept = order[nth < n]
    return csr_array((similarity.data[kept], (rows[kept], similarity.indices[kept])), shape=similarity.shape)
