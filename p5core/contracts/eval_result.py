"""What an evaluation found, before metrics turn it into figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["EvalResult", "ItemStatistics", "Ranks", "Ratings"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the held-out items of M users stood; target j of user m lies in `offsets[m]:offsets[m + 1]`."""

    ranks: npt.NDArray[np.float64]
    """(n_targets,) 1 is best; equal scores share the mean of their places, so a constant scorer cannot win.

    Infinity for a target that cannot be recommended.
    """

    offsets: npt.NDArray[np.int64]
    """(M + 1,)"""

    n_candidates: npt.NDArray[np.int64]
    """(M,) how many items were ranked for each user."""

    @property
    def n_targets(self) -> npt.NDArray[np.int64]:
        """(M,) held-out items of each user, at least one."""
        return np.diff(self.offsets)

    def sum_by_user(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(M,) sums of one value a target (n_targets,)."""
        return np.add.reduceat(values, self.offsets[:-1]) if len(values) else np.zeros(0)

    @cached_property
    def in_order(self) -> npt.NDArray[np.float64]:
        """(n_targets,) ranks of each user ascending, the j-th at least j: k places never hold more than k targets."""
        rows = np.repeat(np.arange(len(self.n_targets)), self.n_targets)
        return np.maximum(self.ranks[np.lexsort((self.ranks, rows))], self.order)

    @cached_property
    def order(self) -> npt.NDArray[np.float64]:
        """(n_targets,) 1, 2, … within each user."""
        return np.arange(1.0, len(self.ranks) + 1) - np.repeat(self.offsets[:-1], self.n_targets)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Predicted and observed ratings of held-out events, sorted by user as in `Ranks`."""

    predicted: npt.NDArray[np.float64]
    """(n_targets,) in rating units"""

    observed: npt.NDArray[np.float64]
    """(n_targets,) in rating units"""

    offsets: npt.NDArray[np.int64]
    """(M + 1,)"""


@dataclass(frozen=True, eq=False)
class ItemStatistics:
    """What is known about the items from training events alone."""

    users_per_item: npt.NDArray[np.int64]
    """(V,) different users with training events of each item"""

    n_users: int
    """users with training events"""

    vectors: csr_array
    """(V, F) unit-length rows; their dot product is the similarity of two items"""


@dataclass(frozen=True, eq=False)
class EvalResult:
    """Everything that metrics may read; parts that no metric asked for are None."""

    ranks: Ranks | None
    lists: npt.NDArray[np.int32] | None
    """(M, K) the best items of each user, best first, -1 where there are fewer"""

    ratings: Ratings | None
    statistics: ItemStatistics
    n_items: int
    """items that may be recommended"""
