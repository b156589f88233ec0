"""The contract of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.contracts.eval_result import EvalResult
from p5core.contracts.part import Part

__all__ = ["AtK", "Metric"]


class AtK(Config):
    """Options of a metric with a cut-off, written `name@k` in an experiment."""

    k: int = Field(10, ge=1)
    """How many places of the ranking count."""


class Metric(Part, ABC):
    """Turns the result of an evaluation into one value a user."""

    needs: ClassVar[Literal["ranks", "lists", "ratings"]]
    """What of the result it reads; an evaluation computes only what its metrics need."""

    higher_is_better: ClassVar[bool] = True

    whole_set: ClassVar[bool] = False
    """True when `values` is one number about all lists together (coverage), which has no interval over users."""

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The least and the largest value there can be."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @property
    def label(self) -> str:
        """`name`, or `name@value` with the value of the first option: a cut-off, a threshold."""
        values = list(dict(self.config).values())
        return f"{self.name}@{str(values[0]).removesuffix('.0')}" if values else self.name

    @abstractmethod
    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        """(M,) one value for each evaluated user, NaN where it is undefined; (1,) when `whole_set`."""

    def weights(self, result: EvalResult) -> npt.NDArray[np.float64] | None:
        """(M,) how much each user counts in the mean; None counts all the same."""
        return None

    def scale(self, mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What is reported of means over users, of any shape: the mean itself, unless a metric says otherwise."""
        return mean

    def reduce(self, values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None = None) -> float:
        """One figure from values (M,): their scaled, weighted mean, undefined users left out; NaN when none is left."""
        weights = np.ones(len(values)) if weights is None else weights
        defined = ~np.isnan(values)
        total = weights[defined].sum()
        return float(self.scale(np.asarray(values[defined] @ weights[defined] / total))) if total > 0 else float("nan")
