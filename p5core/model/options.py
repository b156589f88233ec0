"""Options of the item memory; apart from it, so that an experiment is read without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from p5core.config.base import Config, Tunable

__all__ = ["COUNTED_BY", "HOW_COUNTED", "NeighboursConfig", "countings", "with_content"]


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

    content: list[str] | None = None
    """Columns of the items table that say which items are alike, such as ["title", "genres"]: words, or values of
    lists. None takes all but those of numbers, an empty list none."""

    content_pairs: float = Field(40.0, ge=0)
    """So many pairs an item is thought to have been seen in with those most alike by its content."""

    choose: bool = True
    """Try other ways of counting as well, on validation events, and keep the best."""

    n_neighbours: int = Field(200, ge=1)
    """How many neighbours of each item are kept."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """What an item of the history counts beside the one after it."""

    n_recent: int = Field(50, ge=1)
    """How many of the newest history items are read."""


HOW_COUNTED = ("window", "distance_decay", "backward", "damping", "source_damping", "recency")
"""The options that say how pairs are counted and read."""

COUNTED_BY = (*HOW_COUNTED, "content_pairs")
"""All that is chosen on validation events."""

DENSE = {"window": 10, "distance_decay": 0.2, "backward": 0.6, "damping": 0.3, "source_damping": 0.7}
"""For long histories over few items; found on validation events of MovieLens-100K."""

FRESH = {"recency": 0.5}
"""For histories whose newest items say nearly all; found on validation events of Beauty."""


def countings(config: NeighboursConfig) -> list[NeighboursConfig]:
    """The ways of counting to choose from: that of `config` first."""
    others = (DENSE, FRESH) if config.choose else ()
    return [config, *(config.model_copy(update=other) for other in others)]


CONTENT_PAIRS = (0.0, 15.0, 40.0, 120.0, 400.0)
"""What content may count; from nothing, for items with many events or content that says little."""


def with_content(config: NeighboursConfig) -> list[NeighboursConfig]:
    """The same way of counting, with as little or as much of the content as may be best."""
    choices = CONTENT_PAIRS if config.choose else (config.content_pairs,)
    return [config.model_copy(update={"content_pairs": pairs}) for pairs in choices]
