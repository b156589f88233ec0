"""Co-occurrence counts of items, the item-item model that is blended with networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.sparse import csr_array
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import ItemNeighbours, Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5plugins.scorers.content_similarity import content_columns, content_similarity
from p5plugins.scorers.counting import count_pairs

__all__ = ["CoOccurrence", "CoOccurrenceConfig"]

POPULARITY_SHARE = 1e-9
"""Score of the most popular item for its popularity alone; far below any neighbour, so it only orders the rest."""


class CoOccurrenceConfig(Config):
    """Options of the co-occurrence scorer.

    The defaults were chosen on validation events of Beauty, MovieLens-100K and Last.FM.
    """

    window: int = Field(30, ge=1, le=100_000)
    """Maximum distance between two events that count as a pair."""

    distance_decay: Annotated[float, Tunable(0, 1)] = Field(0.4, ge=0)
    """Pairs at distance d are weighted by d to the power of minus this."""

    backward: float = Field(0.3, ge=0)
    """Weight of pairs against time; pairs forward in time have weight 1."""

    damping: Annotated[float, Tunable(0, 0.6)] = Field(0.15, ge=0)
    """Exponent by which the popularity of the recommended item lowers similarities."""

    source_damping: float = Field(0.3, ge=0)
    """Exponent by which the popularity of the history item lowers similarities."""

    content: list[str] | Literal["all"] = []
    """Item columns for content similarity; "all": all that are not numeric."""

    content_pairs: float = Field(40.0, ge=0)
    """Number of pseudo-pairs of each item with items of similar content."""

    choose: bool = True
    """Choose among variants of counting on validation events."""

    n_neighbours: int = Field(200, ge=1, le=100_000)
    """Number of neighbours kept for each item."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(50, ge=1, le=100_000)
    """Number of most recent history items that are read."""


DENSE = {"window": 10, "distance_decay": 0.2, "backward": 0.6, "damping": 0.3, "source_damping": 0.7}
"""For long histories over few items; found on validation events of MovieLens-100K."""

FRESH = {"recency": 0.5}
"""For histories whose newest items say nearly all; found on validation events of Beauty."""

CONTENT_PAIRS = (0.0, 15.0, 40.0, 120.0, 400.0)
"""Weights of content; from nothing, for items with many events or content that says little."""


class CoOccurrence(Scorer):
    """Co-occurrence counts with the items of a history, the most recent weighted most.

    score(j) = Σ_i recency^age(i) · similarity(i, j), i over the newest history items (age 0 is the newest), plus a
    vanishing share of j's popularity. So items that no history item reaches follow in order of their popularity, and
    an empty history gets the popular items. Only the best neighbours of each item are kept: memory grows with the
    catalogue, not with its square. Built on the counts of item-to-item collaborative filtering (Sarwar et al.,
    doi 10.1145/371920.372071), with order and distance as in sequence-aware neighbourhood models (Ludewig and Jannach,
    arXiv 1803.09587).
    """

    name = "cooccurrence"
    Config = CoOccurrenceConfig
    config: CoOccurrenceConfig
    is_default = True

    similarity: csr_array
    """(V, V) float32, row i holds the neighbours of item i"""

    popularity: npt.NDArray[np.float32]
    """(V,) training events as a share of the most popular item's"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Count pairs of training events, and of items alike by content."""
        columns = _columns(self.config)
        content = None if columns == [] else content_similarity(catalogue, columns)
        self._count(events, len(catalogue), content)

    def _count(self, events: Events, n_items: int, content: csr_array | None) -> None:
        counts = np.bincount(events.items, minlength=n_items)
        self.similarity = count_pairs(events, counts, self.config, content)
        weighted = counts if events.weights is None else np.bincount(events.items, events.weights, n_items)
        self.popularity = (weighted / (weighted.max(initial=0) or 1)).astype(np.float32)

    @classmethod
    def check(cls, config: CoOccurrenceConfig, catalogue: Catalogue) -> None:
        """Refuse a column of content that the items table has not."""
        content_columns(catalogue, _columns(config))

    @classmethod
    def fit_variants(cls, config: CoOccurrenceConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Ways of counting, without content."""
        for changes in ({}, DENSE, FRESH) if config.choose else ({},):
            scorer = cls(config.model_copy(update=changes))
            scorer._count(events, len(catalogue), None)
            yield scorer

    @classmethod
    def fit_for_blend(cls, config: CoOccurrenceConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Weights of the content, which is compared once for all of them."""
        columns = _columns(config)
        content = None if columns == [] else content_similarity(catalogue, columns)
        weights = CONTENT_PAIRS if config.choose and content is not None else (config.content_pairs,)
        for pairs in weights:
            scorer = cls(config.model_copy(update={"content_pairs": pairs}))
            scorer._count(events, len(catalogue), content)
            yield scorer

    @classmethod
    def baseline_config(cls, config: CoOccurrenceConfig) -> CoOccurrenceConfig:
        """The same way of counting, from events alone."""
        return config.model_copy(update={"content": []})

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
        """(n,) the share of each item of a history, oldest first, in the score of `item`."""
        ages = np.arange(len(history))[::-1]
        weights = np.where(ages < self.config.n_recent, self.config.recency**ages, 0.0)
        contributed: npt.NDArray[np.float64] = weights * self.similarity[history][:, [item]].toarray()[:, 0]
        return contributed

    def export(self) -> ItemNeighbours:
        """The kept neighbours of each item."""
        n_items, n_neighbours = len(self.popularity), self.config.n_neighbours
        rows = np.repeat(np.arange(n_items), np.diff(self.similarity.indptr))
        places = np.arange(len(rows)) - self.similarity.indptr[rows]
        codes = np.zeros((n_items, n_neighbours), dtype=np.int32)
        values = np.zeros((n_items, n_neighbours), dtype=np.float32)
        codes[rows, places], values[rows, places] = self.similarity.indices, self.similarity.data
        decay = (self.config.recency ** np.arange(self.config.n_recent)).astype(np.float32)
        return ItemNeighbours(codes, values, decay)

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        table = self.similarity
        return {"indptr": table.indptr, "indices": table.indices, "data": table.data, "popularity": self.popularity}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        n_items = len(state["popularity"])
        self.similarity = csr_array((state["data"], state["indices"], state["indptr"]), shape=(n_items, n_items))
        self.popularity = state["popularity"]


def _columns(config: CoOccurrenceConfig) -> list[str] | None:
    """The columns of content; None for all."""
    return None if config.content == "all" else list(config.content)
