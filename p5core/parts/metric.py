"""The contract of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config import Config
from p5core.evaluation.outcome import Outcome
from p5core.parts.part import Part

__all__ = ["AtK", "Metric"]


class AtK(Config):
    """Options of a metric with a cut-off: `name@k` in an experiment."""

    k: int = Field(10, ge=1)
    """How many places of the ranking count."""


class Metric(Part, ABC):
    """Turns the outcome of an evaluation into one value a user."""

    needs: ClassVar[Literal["ranks", "lists", "ratings"]]
    """What of the outcome it reads; an evaluation computes only what its metrics need."""

    higher_is_better: ClassVar[bool] = True

    whole_set: ClassVar[bool] = False
    """True when `values` is one number about all lists together (coverage), which has no interval over users."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @property
    def label(self) -> str:
        """`name`, or `name@k` for a metric with a cut-off."""
        k = getattr(self.config, "k", None)
        return self.name if k is None else f"{self.name}@{k}"

    @abstractmethod
    def values(self, outcome: Outcome) -> npt.NDArray[np.float64]:
        """(M,) one value for each evaluated user, NaN where it is undefined; (1,) when `whole_set`."""

    def reduce(self, values: npt.NDArray[np.float64]) -> float:
        """One figure from per-user values (M,): their mean, undefined users left out; NaN when nobody is left."""
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if defined.size else float("nan")
