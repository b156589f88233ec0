"""Options of the item memory; apart from it, so that an experiment is read without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from p5core.config import Config, Tunable

__all__ = ["COUNTED_BY", "NeighboursConfig", "countings"]


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

    choose: bool = True
    """Try other ways of counting as well, on validation events, and keep the best."""

    n_neighbours: int = Field(200, ge=1)
    """How many neighbours of each item are kept."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """What an item of the history counts beside the one after it."""

    n_recent: int = Field(50, ge=1)
    """How many of the newest history items are read."""


COUNTED_BY = ("window", "distance_decay", "backward", "damping", "source_damping", "recency")
"""The options that say how pairs are counted and read."""

DENSE = {"window": 10, "distance_decay": 0.2, "backward": 0.6, "damping": 0.3, "source_damping": 0.7}
"""For long histories over few items; found on validation events of MovieLens-100K."""

FRESH = {"recency": 0.5}
"""For histories whose newest items say nearly all; found on validation events of Beauty."""


def countings(config: NeighboursConfig) -> list[NeighboursConfig]:
    """The ways of counting to choose from: that of `config` first."""
    others = (DENSE, FRESH) if config.choose else ()
    return [config, *(config.model_copy(update=other) for other in others)]
