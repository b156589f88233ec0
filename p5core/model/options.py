"""Options of the item memory; apart from it, so that an experiment is read without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from p5core.config import Config, Tunable

__all__ = ["NeighboursConfig"]


class NeighboursConfig(Config):
    """Options of the item memory; the defaults were chosen on validation events of Beauty, ML-100K and Last.FM."""

    window: int = Field(30, ge=1)
    """How many places apart two events of a history may be to count as a pair."""

    distance_decay: Annotated[float, Tunable(0, 1)] = Field(0.4, ge=0)
    """A pair d places apart counts d to the power of minus this."""

    backward: float = Field(0.3, ge=0)
    """What a pair counts for the item that came first, when it counts 1 for the one that came later."""

    damping: Annotated[float, Tunable(0, 0.6)] = Field(0.15, ge=0)
    """Similarities are divided by the popularity of the recommended item to this power."""

    source_damping: float = Field(0.3, ge=0)
    """Similarities are divided by the popularity of the history item to this power."""

    n_neighbours: int = Field(200, ge=1)
    """How many neighbours of each item are kept."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """What an item of the history counts beside the one after it."""

    n_recent: int = Field(50, ge=1)
    """How many of the newest history items are read."""
