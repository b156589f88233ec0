"""Metrics of the recommended lists themselves, whatever the held-out items are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from p5core.contracts.metric import AtK, EvalResult, Metric

__all__ = ["Coverage", "Diversity", "Gini", "Novelty"]

Values = npt.NDArray[np.float64]

LISTS_AT_ONCE = 256
"""Number of lists whose items' users are in memory at once."""


def _lists(result: EvalResult, k: int) -> npt.NDArray[np.int32]:
    """(M, k) codes, -1 where a list is shorter."""
    assert result.lists is not None
    return result.lists[:, :k]


class Coverage(Metric):
    """Catalogue coverage: fraction of items that occur in any list, |∪ lists| / V.

    Source: Ge, Delgado-Battenfeld and Jannach 2010, doi 10.1145/1864708.1864761.
    """

    name = "coverage"
    Config = AtK
    config: AtK
    needs = "lists"
    whole_set = True

    def values(self, result: EvalResult) -> Values:
        lists = _lists(result, self.config.k)
        return np.array([len(np.unique(lists[lists >= 0])) / result.n_items])


class Gini(Metric):
    """Gini index of how often items are recommended: 0: equally often; 1: very unequally.

    With x_1 ≤ … ≤ x_V, how many lists hold each item that may be recommended: Σ_i (2i - V - 1) x_i / (V Σ_i x_i).
    Source: Fleder and Hosanagar 2009, doi 10.1287/mnsc.1080.0974.
    """

    name = "gini"
    Config = AtK
    config: AtK
    needs = "lists"
    whole_set = True
    higher_is_better = False

    def values(self, result: EvalResult) -> Values:
        lists, n_items = _lists(result, self.config.k), result.n_items
        counts = np.unique(lists[lists >= 0], return_counts=True)[1]
        if not counts.size:
            return np.array([np.nan])
        # Items in no list come first in ascending order and add nothing to the sum.
        places = np.arange(n_items - len(counts), n_items) + 1
        return np.array([np.sum((2 * places - n_items - 1) * np.sort(counts)) / (n_items * counts.sum())])


class Novelty(Metric):
    """Novelty: mean of -log2 of the fraction of training users who have the item.

    An item that nobody has counts as had by one user; an empty list is undefined.
    Source: Zhou et al. 2010, doi 10.1073/pnas.1000488107 (mean self-information).
    """

    name = "novelty"
    Config = AtK
    config: AtK
    needs = "lists"
    bounds = (0.0, np.inf)

    def values(self, result: EvalResult) -> Values:
        lists, statistics = _lists(result, self.config.k), result.statistics
        surprise = np.log2(max(1, statistics.n_users)) - np.log2(np.maximum(1, statistics.users_per_item))
        listed = lists >= 0
        return _ratio(np.where(listed, surprise[lists], 0.0).sum(axis=1), listed.sum(axis=1))


class Diversity(Metric):
    """Intra-list diversity: mean of 1 - cos(a, b) over pairs of a list.

    Items are as similar as the sets of their training users; an item without any is similar to none.
    Source: Ziegler et al. 2005, doi 10.1145/1060745.1060754.
    """

    name = "ild"
    Config = AtK
    config: AtK
    needs = "lists"

    def values(self, result: EvalResult) -> Values:
        lists = _lists(result, self.config.k)
        listed = lists >= 0
        sizes = listed.sum(axis=1)
        has_users = listed & (result.statistics.users_per_item[lists] > 0)
        # |Σ x|² = Σ |x|² + the similarities of all ordered pairs, and |x| = 1 for every known item.
        lengths = np.concatenate(
            [np.zeros(0), *(_squared_lengths(block, result.statistics.vectors) for block in _blocks(lists))]
        )
        return 1 - _ratio(lengths - has_users.sum(axis=1), sizes * (sizes - 1))


def _blocks(lists: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.int32]]:
    for begin in range(0, len(lists), LISTS_AT_ONCE):
        yield lists[begin : begin + LISTS_AT_ONCE]


def _squared_lengths(lists: npt.NDArray[np.int32], vectors: csr_array) -> Values:
    """(b,) squared length of the sum of the vectors of each list."""
    rows, places = np.nonzero(lists >= 0)
    codes = lists[rows, places]
    members = csr_array((np.ones(len(codes)), (rows, codes)), shape=(len(lists), vectors.shape[0]))
    sums = members @ vectors  # (b, F)
    return np.asarray(sums.multiply(sums).sum(axis=1), dtype=np.float64)


def _ratio(sums: Values, counts: npt.NDArray[np.int64]) -> Values:
    """Sums by counts, NaN where there is nothing to divide by."""
    ratio: Values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return ratio
