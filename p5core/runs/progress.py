"""Progress of a run over all stages and the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Phases"]

LARGEST_ERROR = 10.0
"""An estimate is not taken to be further off than this factor."""


class Phases:
    """Short trainings, the stages of a run, and what follows, each weighted by the seconds it is expected to take."""

    def __init__(self, n_stages: int, expected: Sequence[float] = ()) -> None:
        """`expected` holds the seconds of each, short trainings first; without it all stages count the same."""
        self._n_before = int(len(expected) == n_stages + 2)
        is_whole = len(expected) == self._n_before + n_stages + 1
        self.is_estimated = is_whole and min(expected) >= 0 and sum(expected[:-1]) > 0
        self._weights = list(expected) if self.is_estimated else [1.0] * (self._n_before + n_stages) + [0.0]
        self._finished = 0

    def finish(self, n: int) -> None:
        """Set the number of finished stages."""
        self._finished = min(self._n_before + n, len(self._weights) - 1)

    @property
    def expected(self) -> list[float]:
        """Seconds of each phase; empty when they were not estimated."""
        return self._weights if self.is_estimated else []

    @property
    def current(self) -> float:
        """Seconds that the current phase is expected to take."""
        return self._weights[self._finished]

    def share(self, of_current: float) -> float:
        """The share of the run that is done, from that of the current phase."""
        return (sum(self._weights[: self._finished]) + of_current * self.current) / sum(self._weights)

    def seconds_left(self, of_current: float, in_current: float) -> float:
        """Seconds left of the run, from those of the current phase; later phases are scaled by the same ratio."""
        later = sum(self._weights[self._finished + 1 :])
        expected = self.current * (1 - of_current)
        pace = in_current / expected if expected > 0 else 1.0
        if self.is_estimated:
            pace = min(LARGEST_ERROR, max(1 / LARGEST_ERROR, pace))
        return in_current + pace * later
