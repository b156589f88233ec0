"""Neighbours of items by their content, which needs no event of an item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from scipy.sparse import csr_array

from p5core.config.base import Config, ExpandedPath, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events
from p5core.errors import ConfigError, DataError
from p5plugins.similarity.content_similarity import content_columns, content_neighbours
from p5plugins.similarity.item_item import ItemItem
from p5plugins.similarity.nearest import MOST_ITEMS, nearest
from p5plugins.texts.vectors import TextConfig, text_features

__all__ = ["Content", "ContentConfig"]

VARIANTS = (
    {"power": 1.0, "recency": 0.5},
    {"power": 2.0, "recency": 0.7},
    {"power": 2.0, "recency": 0.5},
    {"power": 4.0, "recency": 0.7},
)
"""Sharpness and memory of histories to choose from on validation events."""


class ContentConfig(Config):
    """Options of the neighbours by content."""

    columns: list[str] | Literal["all"] = "all"
    """Item columns; "all": the title and every column that is not numeric."""

    model: Literal["words", "tfidf", "wordllama", "minilm", "folder"] = "words"
    """Compare the words and values themselves, or text vectors by this model."""

    folder: ExpandedPath | None = None
    """Folder of a sentence-transformers or Hugging Face model, for model = "folder"."""

    power: Annotated[float, Tunable(0.5, 4)] = Field(2.0, gt=0, le=32)
    """Power of the cosine: the larger, the more only the most similar items count."""

    n_neighbours: int = Field(200, ge=1, le=100_000)
    """Number of neighbours kept for each item."""

    recency: Annotated[float, Tunable(0.3, 1)] = Field(0.6, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(50, ge=1, le=100_000)
    """Number of most recent history items that are read."""

    choose: bool = True
    """Choose power and recency on validation events."""

    @model_validator(mode="after")
    def _folder_with_its_model(self) -> ContentConfig:
        if (self.model == "folder") != (self.folder is not None):
            raise ValueError('model = "folder" and the option folder go together')
        return self


class Content(ItemItem):
    """Items alike by their texts and categories; new items are recommended from the first day.

    The similarity is a power of the cosine of tf-idf weights (doi 10.1016/0306-4573(88)90021-0) or, with a `model`, of
    whitened text vectors. Learns nothing from events but the popularity that orders what nothing is alike to.
    """

    name = "content"
    reads_content = True
    Config = ContentConfig
    config: ContentConfig

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Compare the items."""
        self._keep(_cosines(self.config, catalogue), events)

    def _keep(self, cosines: csr_array, events: Events) -> None:
        similarity = cosines.copy()
        similarity.data **= self.config.power
        self.learn(similarity, events)

    @classmethod
    def check(cls, config: ContentConfig, catalogue: Catalogue) -> None:
        """Refuse columns that are not there, and catalogues without content or too large for text vectors."""
        if not _columns(config, catalogue):
            raise ConfigError(
                "scorer content: the items have no title and no column that says what they are. Load an items table, "
                "or take a scorer that reads events, such as item_knn."
            )
        if config.model != "words" and len(catalogue) > MOST_ITEMS:
            raise ConfigError(
                f"scorer content: comparing the text vectors of {len(catalogue):,} items takes too long; the limit is "
                f'{MOST_ITEMS:,}. Take model = "words", or leave rare items out with prepare.min_item_events.'
            )

    @classmethod
    def fit_variants(cls, config: ContentConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Powers and recencies, over one comparison of the items."""
        cosines = _cosines(config, catalogue)
        for changes in ({}, *(VARIANTS if config.choose else ())):
            scorer = cls(config.model_copy(update=changes))
            scorer._keep(cosines, events)
            yield scorer

    def age_weights(self) -> npt.NDArray[np.float64]:
        """Older items count less by `recency`."""
        return np.asarray(self.config.recency ** np.arange(self.config.n_recent))


def _columns(config: ContentConfig, catalogue: Catalogue) -> list[str]:
    return content_columns(catalogue, None if config.columns == "all" else config.columns, "scorer content")


def _cosines(config: ContentConfig, catalogue: Catalogue) -> csr_array:
    """(V, V) the positive cosines of the nearest items."""
    columns = _columns(config, catalogue)
    if config.model == "words":
        cosines = content_neighbours(catalogue, columns, config.n_neighbours)
    else:
        texts = TextConfig(columns=columns, model=config.model, folder=config.folder)
        vectors = text_features(texts, catalogue, "scorer content").arrays["vectors"]
        cosines = nearest(np.asarray(vectors, dtype=np.float32), config.n_neighbours)
    if not cosines.nnz:
        raise DataError(f"scorer content: no two items are alike by {', '.join(columns)}. Name columns that say more.")
    return cosines
