"""The contracts of losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from torch import Tensor

from p5core.contracts.part import Part

__all__ = ["Candidates", "Loss", "ProbabilityLoss", "RankingLoss", "ValueLoss"]


class Candidates(Protocol):
    """Candidate items of a loss; the score of an item is `state · vector`."""

    @property
    def n_items(self) -> int:
        """Number of candidates, V."""

    @property
    def log_frequency(self) -> Tensor:
        """(V,) log of each candidate's share of the training events, smoothed so that it is finite for unseen items."""

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        """(N, D) vectors of the candidates `codes` (N,), or (V, D) of all."""

    def domains(self) -> Sequence[tuple[Tensor, Candidates]]:
        """For each domain the positions (V,) of its items among these candidates, -1 for others, and its candidates.

        Empty when all items are of one domain.
        """


class Loss(Part):
    """An objective to minimise. Random draws use torch's global generator, whose state is saved in every checkpoint."""

    kind: ClassVar[str]
    """Kind of output that it trains: "ranking", "value" or "probability". A task accepts only losses of its kind."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)

    @classmethod
    def suits(cls, n_items: int, n_events: int) -> str | None:
        """The reason to use it by default for a catalogue and log of this size; None if it is not suitable.

        Asked of built-in losses with `is_default` alone.
        """
        return None

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """Peak bytes of scores that grow with states × items; 0 for a loss that scores a sample.

        A run that has less free memory is refused before it starts.
        """
        return 0


class RankingLoss(Loss, ABC):
    """Loss of the scores of items."""

    kind = "ranking"

    @abstractmethod
    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Mean loss, a scalar, of `states` (N, D) that should score the candidates `targets` (N,) highest."""

    def within_domains(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Mean loss with each target among the items of its own domain: other domains hold no negatives."""
        domains = candidates.domains()
        if not domains:
            return self(states, targets, candidates)
        total = states.sum() * 0.0
        for positions, members in domains:
            local = positions[targets]
            chosen = local >= 0
            n = int(chosen.sum())
            if n:
                total = total + n * self(states[chosen], local[chosen], members)
        return total / max(1, len(targets))


class ValueLoss(Loss, ABC):
    """Loss of predicted values, such as ratings."""

    kind = "value"

    @abstractmethod
    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Mean loss, a scalar, of `predicted` (N,) against `observed` (N,), in the same unit."""


class ProbabilityLoss(Loss, ABC):
    """Loss of predicted probabilities, such as that of a click."""

    kind = "probability"

    @abstractmethod
    def __call__(self, logits: Tensor, observed: Tensor) -> Tensor:
        """Mean loss, a scalar, of `logits` (N,) against `observed` (N,), 0 or 1."""
