"""A metric with two options, and one whose name means something else elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core import Config, EvalResult, Metric

__all__ = ["Loss", "TailShare", "TailShareConfig"]


class TailShareConfig(Config):
    """Options of the share of the long tail."""

    length: int = Field(10, ge=1)
    """Length of the list."""

    head: float = Field(0.1, ge=0, le=1)
    """Fraction of the items that are popular."""


class TailShare(Metric):
    """Fraction of a list that is not among the popular items."""

    name = "tail_share"
    Config = TailShareConfig
    config: TailShareConfig
    needs = "lists"

    @property
    def depth(self) -> int:
        return self.config.length

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        assert result.lists is not None
        order = np.argsort(-result.statistics.users_per_item, kind="stable")
        popular = np.zeros(len(order), dtype=bool)
        popular[order[: round(self.config.head * len(order))]] = True
        lists = result.lists[:, : self.config.length]
        is_listed = lists >= 0
        tail = (is_listed & ~popular[np.maximum(lists, 0)]).sum(axis=1)
        return np.where(is_listed.any(axis=1), tail / np.maximum(1, is_listed.sum(axis=1)), np.nan)


class Loss(Metric):
    """One less the reciprocal rank of the first target."""

    name = "loss"
    needs = "ranks"
    higher_is_better = False

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        assert result.ranks is not None
        return 1 - 1 / result.ranks.ranks[result.ranks.offsets[:-1]]
