"""Item-item neighbours by the similarity of those who had them, whatever the order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.sparse import csr_array, diags_array, vstack

from p5core.config.base import Choices, Config, Tunable
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events
from p5plugins.similarity.item_item import ItemItem
from p5plugins.similarity.sparse import history_table, row_blocks, row_numbers, strongest

__all__ = ["ItemKNN", "ItemKNNConfig"]

Similarity = Literal["cosine", "jaccard", "tfidf", "bm25"]

SATURATION, LENGTH_SHARE = 1.2, 0.75
"""k1 and b of BM25, at their customary values."""


class ItemKNNConfig(Config):
    """Options of the item-item neighbours."""

    similarity: Annotated[Similarity, Choices(("cosine", "jaccard", "tfidf", "bm25"))] = "cosine"
    """Similarity of two items by the users who had them."""

    shrink: Annotated[float, Tunable(1, 200, log=True)] = Field(10.0, ge=0, le=1e9)
    """Pseudo-count that lowers similarities that rest on few users."""

    n_neighbours: int = Field(200, ge=1, le=100_000)
    """Number of neighbours kept for each item."""

    recency: Annotated[float, Tunable(0.5, 1)] = Field(1.0, gt=0, le=1)
    """Weight of a history item, relative to the next more recent one."""

    n_recent: int = Field(500, ge=1, le=100_000)
    """Number of most recent history items that are read."""

    choose: bool = True
    """Choose the similarity on validation events, in a blend."""


class ItemKNN(ItemItem):
    """Neighbours of items by the users who had both, whatever the order; memory grows with the catalogue alone.

    With c_ij the users who had items i and j and n_i those who had i: cosine c_ij / (√(n_i n_j) + shrink), Jaccard
    c_ij / (n_i + n_j − c_ij + shrink) (Sarwar et al., doi 10.1145/371920.372071). In `tfidf` and `bm25` users with long
    histories count less (Robertson and Zaragoza, doi 10.1561/1500000019), before the cosine is taken.
    """

    name = "item_knn"
    Config = ItemKNNConfig
    config: ItemKNNConfig

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        """Compare the items."""
        self.learn(_neighbours(history_table(events, len(catalogue)), self.config), events)

    @classmethod
    def fit_variants(cls, config: ItemKNNConfig, events: Events, catalogue: Catalogue) -> Iterator[Scorer]:
        """Similarities."""
        kinds: tuple[Similarity, ...] = ("cosine", "jaccard", "tfidf", "bm25")
        for kind in dict.fromkeys([config.similarity, *(kinds if config.choose else ())]):
            scorer = cls(config.model_copy(update={"similarity": kind}))
            scorer.fit(events, catalogue)
            yield scorer

    def age_weights(self) -> npt.NDArray[np.float64]:
        """Older items count less by `recency`."""
        return np.asarray(self.config.recency ** np.arange(self.config.n_recent))


def _neighbours(table: csr_array, config: ItemKNNConfig) -> csr_array:
    """(V, V) float32 the most similar items of each; `table` (users, V) says who had what."""
    items = csr_array(_weighted(table, config.similarity).T)  # (V, users)
    sizes = items.power(2).sum(axis=1)  # (V,) n_i, or its weighted form
    blocks = []
    for first, last in row_blocks(items):
        block = csr_array(items[first:last] @ items.T)
        of_row, of_column = sizes[first + row_numbers(block)], sizes[block.indices]
        if config.similarity == "jaccard":
            block.data /= of_row + of_column - block.data + config.shrink
        else:
            block.data /= np.sqrt(of_row * of_column) + config.shrink
        blocks.append(strongest(block, first, config.n_neighbours))
    return csr_array(vstack(blocks, format="csr"), dtype=np.float32)


def _weighted(table: csr_array, similarity: Similarity) -> csr_array:
    """The table with users of long histories weighted less, and in BM25 items of many users."""
    if similarity in ("cosine", "jaccard"):
        return table
    lengths = np.maximum(np.diff(table.indptr), 1)
    rarity = np.log1p(table.shape[1] / lengths)  # of a user, as of a word
    weighted = csr_array(diags_array(rarity) @ table)
    if similarity == "bm25":
        n_users = np.bincount(table.indices, minlength=table.shape[1])
        norm = 1 - LENGTH_SHARE + LENGTH_SHARE * n_users / max(n_users.mean(), 1e-9)
        weighted.data *= (SATURATION + 1) / (SATURATION * norm[weighted.indices] + 1)
    return weighted
