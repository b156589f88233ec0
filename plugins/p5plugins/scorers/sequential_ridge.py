"""SLIST, the linear model of items that reads their order."""

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

__all__ = ["SequentialRidge", "SequentialRidgeConfig"]

BYTES_PER_PAIR = 20
"""Memory for each pair of items: two tables, the inverse, their product and what is solved in, in float32."""

PENALTIES = (30.0, 300.0)
SHARES = (0.0, 0.5)
"""Penalties and shares of whole histories to choose from on validation events."""


class SequentialRidgeConfig(Config):
    """Options of the sequential ridge regression."""

    l2: Annotated[float, Tunable(10, 3000, log=True)] = Field(100.0, gt=0, le=1e9)
    """L2 penalty of the weights, in events."""

    whole_share: Annotated[float, Tunable(0, 1)] = Field(0.2, ge=0, le=1)
    """Share of whole histories without order; the rest: of what follows what."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(20, ge=1, le=1_000)
    """Number of most recent history items that are read."""

    choose: bool = True
    """Choose among penalties and shares on validation events."""

    n_neighbours: int = Field(400, ge=1, le=100_000)
    """Number of weights kept for each item, the largest by magnitude."""

    memory: int = Field(4096, ge=1, le=1_000_000)
    """Memory for all pairs of items, in megabytes; larger catalogues are refused."""


class SequentialRidge(ItemItem):
    """A linear model of items that predicts the next from those before, solved in closed form.

    B minimises s ‖X − XB‖² + (1 − s) ‖T − SB‖² + l2 ‖B‖² with diag(B) = 0: X (users, V) are whole histories, a row of S
    holds the items before an event, each weighted by `recency` to the power of its age, and a row of T the event
    (SLIST, Choi et al., arXiv 2103.16104). Time grows with V³ and memory with V².
    """

    name = "sequential_ridge"
    reads_order = True
    Config = SequentialRidgeConfig
    config: SequentialRidgeConfig

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Solve for the weights."""
        self.check(self.config, catalogue)
        self.learn(_weights(_Products(events, len(catalogue), self.age_weights()), self.config), events)

    @classmethod
    def check(cls, config: SequentialRidgeConfig, catalogue: Catalogue) -> None:
        """Refuse a catalogue whose pairs take more memory than allowed."""
        refuse_pairs(cls.name, len(catalogue), BYTES_PER_PAIR, config.memory)

    @classmethod
    def fit_variants(cls, config: SequentialRidgeConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Penalties and shares of whole histories."""
        cls.check(config, catalogue)
        products = _Products(events, len(catalogue), cls(config).age_weights())
        chosen = [(share, l2) for share in SHARES for l2 in PENALTIES] if config.choose else []
        for share, l2 in dict.fromkeys([(config.whole_share, config.l2), *chosen]):
            scorer = cls(config.model_copy(update={"whole_share": share, "l2": l2}))
            scorer.learn(_weights(products, scorer.config), events)
            yield scorer

    def age_weights(self) -> npt.NDArray[np.float64]:
        """Older items count less by `recency`."""
        return np.asarray(self.config.recency ** np.arange(self.config.n_recent))


class _Products:
    """The sparse products that the regression needs, whatever its penalty and shares are."""

    def __init__(self, events: Events, n_items: int, of_age: npt.NDArray[np.float64]) -> None:
        whole = history_table(events, n_items)
        past, following = _steps(events, n_items, of_age)
        self.whole = csr_array(whole.T @ whole)
        self.past = csr_array(past.T @ past)
        self.following = csr_array(past.T @ following)


def _steps(events: Events, n_items: int, of_age: npt.NDArray[np.float64]) -> tuple[csr_array, csr_array]:
    """(steps, V) the items before each event that has any, weighted by age, and (steps, V) the event."""
    place = np.arange(len(events)) - np.repeat(events.offsets[:-1], np.diff(events.offsets))  # within the history
    steps = np.flatnonzero(place > 0)
    rows, items, weights = [], [], []
    for age, weight in enumerate(of_age.astype(np.float32)):
        has = np.flatnonzero(place[steps] > age)
        if not len(has):
            break
        rows.append(has)
        items.append(events.items[steps[has] - 1 - age])
        weights.append(np.full(len(has), weight))
    shape = (len(steps), n_items)
    amounts = np.ones(len(steps), np.float32) if events.weights is None else events.weights[steps]
    following = csr_array((amounts, (np.arange(len(steps)), events.items[steps])), shape=shape)
    nothing = np.zeros(0, np.int64)
    places = (np.concatenate([nothing, *rows]), np.concatenate([nothing, *items]))
    return csr_array((np.concatenate([np.zeros(0, np.float32), *weights]), places), shape=shape), following


def _weights(products: _Products, config: SequentialRidgeConfig) -> csr_array:
    """(V, V) float32 the largest weights of each item.

    With P = (G + l2 I)⁻¹ and K the right-hand side, B = P K − P diag(μ), where μ_j = (PK)_jj / P_jj makes the diagonal
    zero (the multipliers of EASE, arXiv 1905.03375).
    """
    share = np.float32(config.whole_share)
    gram = (share * products.whole + (1 - share) * products.past).toarray()
    gram[np.diag_indices(len(gram))] += np.float32(config.l2)
    inverse: npt.NDArray[np.float32] = inv(gram, overwrite_a=True, check_finite=False)
    weights: npt.NDArray[np.float32] = inverse @ (share * products.whole + (1 - share) * products.following).toarray()
    weights -= inverse * (weights.diagonal() / inverse.diagonal())
    np.fill_diagonal(weights, 0.0)
    return largest_weights(weights, config.n_neighbours)
