"""Co-occurrence counts of items, the item-item model that is blended with networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.sparse import csr_array

from p5core.config.base import Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events
from p5plugins.similarity.content_similarity import content_columns, content_similarity
from p5plugins.similarity.counting import count_pairs
from p5plugins.similarity.item_item import ItemItem

__all__ = ["CoOccurrence", "CoOccurrenceConfig"]


class CoOccurrenceConfig(Config):
    """Options of the co-occurrence scorer.

    The defaults were chosen on validation events of Beauty, MovieLens-100K and Last.FM.
    """

    window: int = Field(30, ge=1, le=100_000)
    """Maximum distance between two events that count as a pair."""

    distance_decay: Annotated[float, Tunable(0, 1)] = Field(0.4, ge=0)
    """Pairs at distance d are weighted by d to the power of minus this."""

    backward: float = Field(0.3, ge=0)
    """Weight of pairs against time; pairs forward in time have weight 1."""

    damping: Annotated[float, Tunable(0, 0.6)] = Field(0.15, ge=0)
    """Exponent by which the popularity of the recommended item lowers similarities."""

    source_damping: float = Field(0.3, ge=0)
    """Exponent by which the popularity of the history item lowers similarities."""

    content: list[str] | Literal["all"] = []
    """Item columns for content similarity; "all": all that are not numeric."""

    content_pairs: float = Field(40.0, ge=0)
    """Number of pseudo-pairs of each item with items of similar content."""

    choose: bool = True
    """Choose among variants of counting on validation events."""

    n_neighbours: int = Field(200, ge=1, le=100_000)
    """Number of neighbours kept for each item."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.7, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(50, ge=1, le=100_000)
    """Number of most recent history items that are read."""


DENSE = {"window": 10, "distance_decay": 0.2, "backward": 0.6, "damping": 0.3, "source_damping": 0.7}
"""For long histories over few items; found on validation events of MovieLens-100K."""

FRESH = {"recency": 0.5}
"""For histories whose newest items say nearly all; found on validation events of Beauty."""

CONTENT_PAIRS = (0.0, 15.0, 40.0, 120.0, 400.0)
"""Weights of content; from nothing, for items with many events or content that says little."""


class CoOccurrence(ItemItem):
    """Co-occurrence counts with the items of a history, the most recent weighted most.

    Weights of a history item fall with its age, by `recency`. Only the best neighbours of each item are kept: memory
    grows with the catalogue, not with its square. Built on the counts of item-to-item collaborative filtering (Sarwar
    et al., doi 10.1145/371920.372071), with order and distance as in sequence-aware neighbourhood models (Ludewig and
    Jannach, arXiv 1803.09587).
    """

    name = "cooccurrence"
    reads_order = True
    reads_content = True
    Config = CoOccurrenceConfig
    config: CoOccurrenceConfig
    is_default = True

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Count pairs of training events, and of items alike by content."""
        columns = _columns(self.config)
        content = None if columns == [] else content_similarity(catalogue, columns)
        self._count(events, len(catalogue), content)

    def _count(self, events: Events, n_items: int, content: csr_array | None) -> None:
        counts = np.bincount(events.items, minlength=n_items)
        self.learn(count_pairs(events, counts, self.config, content), events)

    @classmethod
    def check(cls, config: CoOccurrenceConfig, catalogue: Catalogue) -> None:
        """Refuse a column of content that the items table has not."""
        content_columns(catalogue, _columns(config))

    @classmethod
    def fit_variants(cls, config: CoOccurrenceConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Ways of counting, without content."""
        for changes in ({}, DENSE, FRESH) if config.choose else ({},):
            scorer = cls(config.model_copy(update=changes))
            scorer._count(events, len(catalogue), None)
            yield scorer

    @classmethod
    def fit_for_blend(cls, config: CoOccurrenceConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Weights of the content, which is compared once for all of them."""
        columns = _columns(config)
        content = None if columns == [] else content_similarity(catalogue, columns)
        weights = CONTENT_PAIRS if config.choose and content is not None else (config.content_pairs,)
        for pairs in weights:
            scorer = cls(config.model_copy(update={"content_pairs": pairs}))
            scorer._count(events, len(catalogue), content)
            yield scorer

    @classmethod
    def baseline_config(cls, config: CoOccurrenceConfig) -> CoOccurrenceConfig:
        """The same way of counting, from events alone."""
        return config.model_copy(update={"content": []})

    def age_weights(self) -> npt.NDArray[np.float64]:
        """Older items count less by `recency`."""
        return np.asarray(self.config.recency ** np.arange(self.config.n_recent))


def _columns(config: CoOccurrenceConfig) -> list[str] | None:
    """The columns of content; None for all."""
    return None if config.content == "all" else list(config.content)
