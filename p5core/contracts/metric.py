"""The contract of metrics, and the result of an evaluation that they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.sparse import csr_array

from p5core.config.base import Config
from p5core.contracts.part import Part

__all__ = ["AtK", "EvalResult", "ItemStatistics", "Metric", "Needs", "Predictions", "Ranks"]

Needs = Literal["ranks", "lists", "values", "probabilities", "texts"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of the held-out items of M users; target j of user m lies in `offsets[m]:offsets[m + 1]`."""

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
class Predictions:
    """Predicted and observed values of held-out events, sorted by user as in `Ranks`."""

    predicted: npt.NDArray[np.float64]
    """(n_targets,) in the unit of the data; a probability between 0 and 1"""

    observed: npt.NDArray[np.float64]
    """(n_targets,) in the same unit; 0 or 1"""

    offsets: npt.NDArray[np.int64]
    """(M + 1,)"""

    def mean_by_user(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(M,) means of `values` (n_targets,)."""
        sums = np.add.reduceat(values, self.offsets[:-1]) if len(values) else np.zeros(0)
        return sums / np.diff(self.offsets)


@dataclass(frozen=True, eq=False)
class ItemStatistics:
    """Statistics of the items from training events alone."""

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
    """(M, K) the best items of each user, best first, -1 where there are fewer; K is the largest depth asked for"""

    predictions: Mapping[str, Predictions]
    """"values" and "probabilities", as far as metrics need them and the scorer predicts them"""

    statistics: ItemStatistics
    n_items: int
    """items that may be recommended"""

    def holds(self, needs: str) -> bool:
        """True if it holds the data that a metric reads."""
        if needs in ("ranks", "lists"):
            return getattr(self, needs) is not None
        return needs in self.predictions


class AtK(Config):
    """Options of a metric with a cut-off, written `name@k` in an experiment."""

    k: int = Field(10, ge=1, le=10_000)
    """Length of the list, k."""


class Metric(Part, ABC):
    """Turns the result of an evaluation into one value a user."""

    needs: ClassVar[Needs]
    """Part of the result that it reads; an evaluation computes only what its metrics need."""

    higher_is_better: ClassVar[bool] = True

    whole_set: ClassVar[bool] = False
    """True when `values` is one number about all lists together (coverage), which has no interval over users."""

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Smallest and largest possible value."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @property
    def depth(self) -> int:
        """Length of the lists that it reads; `k` of `AtK`, and a metric of lists with other options must say it."""
        return self.config.k if isinstance(self.config, AtK) else 0

    @property
    def label(self) -> str:
        """`name@first,option=value`: the value of the first option, and the others that differ from their defaults."""
        options = dict(self.config)
        if not options:
            return self.name
        (_, first), *others = options.items()
        fields = type(self.config).model_fields
        changed = [f"{name}={_text(value)}" for name, value in others if value != fields[name].default]
        return f"{self.name}@{','.join([_text(first), *changed])}"

    @abstractmethod
    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        """(M,) one value for each evaluated user, NaN where it is undefined; (1,) when `whole_set`."""

    def weights(self, result: EvalResult) -> npt.NDArray[np.float64] | None:
        """(M,) weight of each user in the mean; None weighs all the same."""
        return None

    def scale(self, mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Transform means over users, of any shape, into the reported figure; the identity by default."""
        return mean

    def reduce(self, values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None = None) -> float:
        """Scaled, weighted mean of values (M,), ignoring NaN; NaN if all are NaN."""
        weights = np.ones(len(values)) if weights is None else weights
        defined = ~np.isnan(values)
        total = weights[defined].sum()
        return float(self.scale(np.asarray(values[defined] @ weights[defined] / total))) if total > 0 else float("nan")


def _text(value: Any) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
