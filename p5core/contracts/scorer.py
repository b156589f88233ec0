"""The contract of scorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from p5core.contracts.part import Part
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HistoryScorer", "ItemNeighbours", "Scorer"]


class HistoryScorer(Protocol):
    """Anything that scores the catalogue and can be evaluated: a network, a fitted scorer, an exported model."""

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) float32, higher is better, for `users` (B,) with their `histories`, oldest first.

        The tensor belongs to the caller, who may overwrite it.
        """

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.floating] | None:
        """(n_targets,) the predicted field of the `targets` of each of the `users` (B,); None when it predicts none."""


@dataclass(frozen=True, eq=False)
class ItemNeighbours:
    """An item-item model as it is exported: score(j) = Σ_i age_weights[age(i)] · weights(i → j).

    i are the newest items of a history; the age of the newest is 0.
    """

    neighbours: npt.NDArray[np.int32]
    """(V, M) codes of the M neighbours of each of V items; where an item has fewer, any code with weight 0"""

    weights: npt.NDArray[np.float32]
    """(V, M) weight of each neighbour; in a blend, an item whose sum is negative counts as one of sum 0"""

    age_weights: npt.NDArray[np.float32]
    """(L,) weights of the L newest history items by age; older items are not read"""


class Scorer(Part, ABC):
    """Scores items without gradient training: a baseline, or a scorer blended with the network."""

    reads_order: ClassVar[bool] = False
    """True if it learns which item follows another."""

    reads_content: ClassVar[bool] = False
    """True if it can reach an item without events by its content."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @abstractmethod
    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Learn from training events; the items of `catalogue` are in code order."""

    @abstractmethod
    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) float32, higher is better, for `users` (B,) with their `histories`, oldest first."""

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.floating] | None:
        """(n_targets,) the predicted field of the `targets` of each user; None when it predicts no such field."""
        return None

    @classmethod
    def check(cls, config: Any, catalogue: Catalogue) -> None:
        """Raise ConfigError when the options do not suit the catalogue."""

    @classmethod
    def fit_variants(cls, config: Any, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Fitted scorers with other options, `config` first; the best alone on validation events is kept."""
        scorer = cls(config)
        scorer.fit(events, catalogue)
        yield scorer

    @classmethod
    def fit_for_blend(cls, config: Any, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Fitted scorers for a blend; the one whose best blend is the best on validation events is kept.

        Where the scorer is the whole model, the one that is the best alone.

        `config` is that of the variant that was kept.
        """
        scorer = cls(config)
        scorer.fit(events, catalogue)
        yield scorer

    @classmethod
    def baseline_config(cls, config: Any) -> Any:
        """Options as a baseline beside a model that blends this scorer with the options `config`."""
        return config

    def state(self) -> Mapping[str, npt.NDArray[np.generic]] | None:
        """Arrays that a run stores and `restore` loads; None for a scorer that cannot be stored, nor blended."""
        return None

    def restore(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Load the arrays returned by `state`; a scorer defines both or neither."""

    def export(self) -> ItemNeighbours | None:
        """The fitted scorer as an item-item model; None if it has no such form and cannot be exported."""
        return None
