"""Matrix factorisation by pairwise ranking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged, distinct

__all__ = ["BPRMF", "BPRMFConfig"]

TRIPLES_AT_ONCE = 4_096
"""Users with an item that they had and one that they had not, in one step."""

PENALTIES = (0.002, 0.02)
"""L2 penalties to choose from on validation events."""

FOLD_IN_L2 = 1.0
"""Ridge of the map from mean item vectors to user vectors."""


class BPRMFConfig(Config):
    """Options of Bayesian personalised ranking."""

    n_factors: Annotated[int, Tunable(16, 256, log=True)] = Field(64, ge=1, le=512)
    """Dimension of the vectors."""

    learning_rate: Annotated[float, Tunable(1e-2, 0.3, log=True)] = Field(0.1, gt=0, le=10)
    """Step size of AdaGrad."""

    l2: Annotated[float, Tunable(1e-4, 0.1, log=True)] = Field(0.005, ge=0, le=100)
    """L2 penalty of the vectors, for each triple that they are in."""

    n_epochs: int = Field(40, ge=1, le=10_000)
    """Number of passes over the events."""

    choose: bool = True
    """Choose among penalties on validation events."""


class BPRMF(Scorer):
    """Matrix factorisation that ranks what a user had above what they had not (Rendle et al., arXiv 1205.2618).

    Vectors x of users and y of items with biases b maximise Σ log σ(x·(y_i − y_j) + b_i − b_j) − l2 (‖x‖² + ‖y_i‖² +
    ‖y_j‖² + b_i² + b_j²) over items i that a user had and items j drawn from the others. People without a vector get
    the one that a linear map, fitted to the other users, makes of the mean vector of their items. No exported form.
    """

    name = "bpr_mf"
    Config = BPRMFConfig
    config: BPRMFConfig

    users: npt.NDArray[np.float32]
    """(U, K) user vectors"""

    vectors: npt.NDArray[np.float32]
    """(V, K) item vectors"""

    biases: npt.NDArray[np.float32]
    """(V,) item biases"""

    fold_in: npt.NDArray[np.float32]
    """(K, K) map from the mean vector of a history to a user vector"""

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Make steps of AdaGrad over triples, from small random vectors."""
        n_users, n_items, n_factors = events.n_users, len(catalogue), self.config.n_factors
        rng = np.random.default_rng(0)
        tables = [
            torch.from_numpy(rng.normal(0, 0.1 / np.sqrt(n_factors), (n, n_factors)).astype(np.float32))
            for n in (n_users, n_items)
        ]
        tables.append(torch.zeros(n_items, 1))
        squares = [torch.full((len(table), 1), 1e-6) for table in tables]
        had = distinct(events.users.astype(np.int64) * n_items + events.items)
        weights = None if events.weights is None else events.weights / events.weights.sum(dtype=np.float64)
        for _ in range(self.config.n_epochs if n_items > 1 else 0):
            order = rng.permutation(len(events)) if weights is None else rng.choice(len(events), len(events), p=weights)
            for begin in range(0, len(order), TRIPLES_AT_ONCE):
                users, items = (part[order[begin : begin + TRIPLES_AT_ONCE]] for part in (events.users, events.items))
                self._step(tables, squares, users, items, _others(rng, users, had, n_items))
        self.users, self.vectors, self.biases = tables[0].numpy(), tables[1].numpy(), tables[2][:, 0].numpy()
        means = self._means(events.histories)
        left = means.T @ means + FOLD_IN_L2 * np.eye(n_factors, dtype=np.float32)
        self.fold_in = np.linalg.solve(left, means.T @ self.users).astype(np.float32)

    def _step(
        self,
        tables: list[Tensor],
        squares: list[Tensor],
        users: npt.NDArray[np.integer],
        items: npt.NDArray[np.integer],
        others: npt.NDArray[np.integer],
    ) -> None:
        """One step of AdaGrad, with one step size for each row."""
        u, i, j = (torch.from_numpy(codes.astype(np.int64)) for codes in (users, items, others))
        x, y, z = tables[0][u], tables[1][i], tables[1][j]
        b, c = tables[2][i], tables[2][j]
        pull = torch.sigmoid(-((x * (y - z)).sum(dim=1, keepdim=True) + b - c))  # (B, 1)
        l2 = 2 * self.config.l2
        gradients = (
            (0, u, l2 * x - pull * (y - z)),
            (1, torch.cat([i, j]), torch.cat([l2 * y - pull * x, l2 * z + pull * x])),
            (2, torch.cat([i, j]), torch.cat([l2 * b - pull, l2 * c + pull])),
        )
        for nth, rows, gradient in gradients:
            squares[nth].index_add_(0, rows, gradient.square().mean(dim=1, keepdim=True))
            tables[nth].index_add_(0, rows, -self.config.learning_rate * gradient / squares[nth][rows].sqrt())

    @classmethod
    def fit_variants(cls, config: BPRMFConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """L2 penalties."""
        for l2 in dict.fromkeys([config.l2, *(PENALTIES if config.choose else ())]):
            scorer = cls(config.model_copy(update={"l2": l2}))
            scorer.fit(events, catalogue)
            yield scorer

    def _means(self, histories: Ragged) -> npt.NDArray[np.float32]:
        """(B, K) mean vectors of the items of histories; zeros for empty ones."""
        sums = np.zeros((len(histories), self.vectors.shape[1]), np.float32)
        np.add.at(sums, histories.rows, self.vectors[histories.values])
        sums /= np.maximum(histories.lengths, 1)[:, None]
        return sums

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) softmax of x·y + b; of the biases for unknown users without events."""
        states = self._means(histories) @ self.fold_in
        is_known = (users >= 0) & (users < len(self.users))
        states[is_known] = self.users[users[is_known]]
        return torch.from_numpy(states @ self.vectors.T + self.biases).softmax(dim=1)

    def state(self) -> Mapping[str, npt.NDArray[np.generic]]:
        """Vectors, biases and the map of histories."""
        return {"users": self.users, "vectors": self.vectors, "biases": self.biases, "fold_in": self.fold_in}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        self.users, self.vectors, self.biases = state["users"], state["vectors"], state["biases"]
        self.fold_in = state["fold_in"]


def _others(
    rng: np.random.Generator, users: npt.NDArray[np.integer], had: npt.NDArray[np.int64], n_items: int
) -> npt.NDArray[np.int64]:
    """(B,) an item for each user, drawn again once if they had it; `had` are the ascending user · V + item."""
    drawn = rng.integers(n_items, size=len(users))
    again = rng.integers(n_items, size=len(users))
    keys = users.astype(np.int64) * n_items + drawn
    is_had = had[np.minimum(np.searchsorted(had, keys), len(had) - 1)] == keys
    return np.where(is_had, again, drawn)
