"""EASE, the linear model of items whose weights have a closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.linalg import inv
from scipy.sparse import csr_array

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events
from p5plugins.similarity.item_item import ItemItem
from p5plugins.similarity.sparse import history_table, largest_weights, refuse_pairs

__all__ = ["EASE", "EASEConfig"]

BYTES_PER_PAIR = 24
"""Memory for each pair of items: their counts, a copy, and what the inverse is solved in, in float64."""

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Penalties to choose from on validation events."""


class EASEConfig(Config):
    """Options of EASE."""

    l2: Annotated[float, Tunable(10, 3000, log=True)] = Field(300.0, gt=0, le=1e9)
    """L2 penalty of the weights, in events."""

    choose: bool = True
    """Choose among penalties on validation events, in a blend."""

    n_neighbours: int = Field(400, ge=1, le=100_000)
    """Number of weights kept for each item, the largest by magnitude."""

    recency: Annotated[float, Tunable(0.5, 1)] = Field(1.0, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(500, ge=1, le=100_000)
    """Number of most recent history items that are read."""

    memory: int = Field(4096, ge=1, le=1_000_000)
    """Memory for all pairs of items, in megabytes; larger catalogues are refused."""


class EASE(ItemItem):
    """A linear model of items, solved in closed form; strong on logs without order.

    B minimises ‖X − XB‖² + l2 ‖B‖² with diag(B) = 0, where X (users, V) are the events: B = I − P / diag(P) with
    P = (XᵀX + l2 I)⁻¹ (Steck, arXiv 1905.03375). Weights may be negative. Time grows with V³ and memory with V².
    """

    name = "ease"
    Config = EASEConfig
    config: EASEConfig

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Solve for the weights."""
        self.check(self.config, catalogue)
        self.learn(_weights(_counts(events, len(catalogue)), self.config), events)

    @classmethod
    def check(cls, config: EASEConfig, catalogue: Catalogue) -> None:
        """Refuse a catalogue whose pairs take more memory than allowed."""
        refuse_pairs(cls.name, len(catalogue), BYTES_PER_PAIR, config.memory)

    @classmethod
    def fit_variants(cls, config: EASEConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Penalties."""
        cls.check(config, catalogue)
        counts = _counts(events, len(catalogue))
        for l2 in dict.fromkeys([config.l2, *(PENALTIES if config.choose else ())]):
            scorer = cls(config.model_copy(update={"l2": l2}))
            scorer.learn(_weights(counts, scorer.config), events)
            yield scorer

    def age_weights(self) -> npt.NDArray[np.float64]:
        """Older items count less by `recency`."""
        return np.asarray(self.config.recency ** np.arange(self.config.n_recent))


def _counts(events: Events, n_items: int) -> npt.NDArray[np.float64]:
    """(V, V) XᵀX."""
    table = history_table(events, n_items)
    return np.asarray((table.T @ table).toarray(), dtype=np.float64)


def _weights(counts: npt.NDArray[np.float64], config: EASEConfig) -> csr_array:
    """(V, V) float32 the largest weights of each item."""
    n_items = len(counts)
    penalised = counts.copy()
    penalised[np.diag_indices(n_items)] += config.l2
    weights = inv(penalised, overwrite_a=True, check_finite=False)
    weights /= -np.diag(weights).copy()
    np.fill_diagonal(weights, 0.0)
    return largest_weights(weights, config.n_neighbours)
