"""Matrix factorisation of implicit feedback by alternating least squares."""

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
from p5plugins.similarity.sparse import history_table

__all__ = ["ALS", "ALSConfig"]

VALUES_AT_ONCE = 4_000_000
"""Numbers of gathered vectors that are held together."""

VARIANTS = ((1.0, 10.0), (10.0, 10.0), (10.0, 100.0), (40.0, 100.0))
"""Confidences and penalties to choose from on validation events."""


class ALSConfig(Config):
    """Options of alternating least squares."""

    n_factors: Annotated[int, Tunable(16, 256, log=True)] = Field(64, ge=1, le=512)
    """Dimension of the vectors."""

    confidence: Annotated[float, Tunable(0.5, 100, log=True)] = Field(10.0, gt=0, le=1e6)
    """Additional weight of an item that a user had, beside one that they had not."""

    l2: Annotated[float, Tunable(1, 300, log=True)] = Field(10.0, gt=0, le=1e9)
    """L2 penalty of the vectors."""

    n_rounds: int = Field(12, ge=1, le=1_000)
    """Number of times that users and items are solved for in turn."""

    choose: bool = True
    """Choose among confidences and penalties on validation events."""


class ALS(Scorer):
    """Matrix factorisation that counts what a user did not have as a weak "no" (Hu et al., doi 10.1109/ICDM.2008.22).

    Vectors x of users and y of items minimise Σ c (p − x·y)² + l2 (‖x‖² + ‖y‖²), where p is 1 for what a user had, with
    c = 1 + confidence, and 0 otherwise, with c = 1. The vector of any history is solved for when it is asked about, so
    new users are answered; that solution has no exported form.
    """

    name = "als"
    Config = ALSConfig
    config: ALSConfig

    vectors: npt.NDArray[np.float32]
    """(V, K) item vectors"""

    popularity: npt.NDArray[np.float32]
    """(V,) training events as a share of the most popular item's; answers empty histories"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Solve for users and items in turn, from small random vectors."""
        table = history_table(events, len(catalogue))
        counts = np.bincount(table.indices, minlength=len(catalogue))
        self.popularity = (counts / (counts.max(initial=0) or 1)).astype(np.float32)
        by_item, rng = csr_array(table.T), np.random.default_rng(0)
        shape = (len(catalogue), self.config.n_factors)
        self.vectors = (rng.normal(size=shape) / np.sqrt(self.config.n_factors)).astype(np.float32)
        for _ in range(self.config.n_rounds):
            users = self._solved(table, self.vectors)
            self.vectors = self._solved(by_item, users)

    @classmethod
    def fit_variants(cls, config: ALSConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Confidences and penalties."""
        for confidence, l2 in dict.fromkeys([(config.confidence, config.l2), *(VARIANTS if config.choose else ())]):
            scorer = cls(config.model_copy(update={"confidence": confidence, "l2": l2}))
            scorer.fit(events, catalogue)
            yield scorer

    def _solved(self, table: csr_array, others: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(rows, K) the vectors that fit the rows of a table, given the vectors of its columns."""
        n_factors = others.shape[1]
        gram = others.T @ others + np.float32(self.config.l2) * np.eye(n_factors, dtype=np.float32)
        lengths = np.diff(table.indptr)
        solved = np.zeros((table.shape[0], n_factors), np.float32)
        for rows in _rows_of_like_length(lengths, n_factors):
            width = int(lengths[rows].max(initial=0))
            if width == 0:
                continue
            places = table.indptr[rows][:, None] + np.arange(width)
            is_there = np.arange(width) < lengths[rows][:, None]
            places = np.where(is_there, places, 0)
            weights = np.where(is_there, np.float32(self.config.confidence) * table.data[places], np.float32(0))
            vectors = others[table.indices[places]]  # (R, T, K)
            weighted = vectors * weights[..., None]
            left = gram + weighted.transpose(0, 2, 1) @ vectors
            right = (vectors * np.where(is_there, 1 + weights, np.float32(0))[..., None]).sum(axis=1)
            solved[rows] = np.linalg.solve(left, right[..., None])[..., 0]
        return solved

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) products of the vectors of items with those that fit the histories; popularity for empty ones."""
        n_items = len(self.vectors)
        ones = np.ones(len(histories.values), np.float32)
        table = csr_array((ones, (histories.rows, histories.values)), shape=(len(histories), n_items))
        table.sum_duplicates()
        table.data[:] = 1
        scores = self._solved(table, self.vectors) @ self.vectors.T
        scores[histories.lengths == 0] = self.popularity
        return torch.from_numpy(scores)

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """The vectors of items, and their popularity."""
        return {"vectors": self.vectors, "popularity": self.popularity}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self.vectors, self.popularity = state["vectors"], state["popularity"]


def _rows_of_like_length(lengths: npt.NDArray[np.integer], n_factors: int) -> Iterator[npt.NDArray[np.int64]]:
    """All rows by length, as many together as fit into memory when they are padded to the longest."""
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        last = first + 1
        while (
            last < len(order) and (last + 1 - first) * (lengths[order[last]] + n_factors) * n_factors < VALUES_AT_ONCE
        ):
            last += 1
        yield order[first:last]
        first = last
