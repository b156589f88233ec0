"""The contracts of losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from torch import Tensor

from p5core.contracts.part import Part

__all__ = ["ItemScorer", "Loss", "RankingLoss", "RatingLoss"]


class ItemScorer(Protocol):
    """What a ranking loss may ask about the catalogue; the score of an item is `state · vector`."""

    @property
    def n_items(self) -> int:
        """Size of the catalogue, V."""

    @property
    def log_frequency(self) -> Tensor:
        """(V,) log of each item's share of the training events, smoothed so that it is finite for unseen items."""

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        """(N, D) vectors of the items `codes` (N,), or (V, D) of all."""


class Loss(Part):
    """What is minimised. Random draws use torch's global generator, whose state is part of every checkpoint."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """Bytes that grow with states × items, held at once; 0 for a loss that scores a sample.

        A run that has less free memory is refused before it starts.
        """
        return 0


class RankingLoss(Loss, ABC):
    """Judges how high the right item stands."""

    @abstractmethod
    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        """Mean loss, a scalar, of `states` (N, D) that should have scored the items `targets` (N,) highest."""


class RatingLoss(Loss, ABC):
    """Judges predicted values."""

    @abstractmethod
    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Mean loss, a scalar, of `predicted` (N,) against `observed` (N,), both in rating units."""
