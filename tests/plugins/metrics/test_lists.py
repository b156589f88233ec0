"""Metrics of the lists by property and by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from p5core.contracts.metric import AtK, EvalResult, Metric
from p5core.data.dataset import Events, Ragged
from p5core.evaluation.item_statistics import item_statistics
from p5plugins.metrics import lists as module
from p5plugins.metrics.lists import Coverage, Diversity, Gini, Novelty

N_ITEMS = 6
METRICS: list[type[Metric]] = [Coverage, Diversity, Gini, Novelty]


def result(histories: list[list[int]], lists: list[list[int]]) -> EvalResult:
    ragged = Ragged.of(histories)
    events = Events(ragged.offsets, ragged.values, np.arange(len(ragged.values)))
    width = max(1, *map(len, lists), 1)
    padded = np.array([[*one, *[-1] * (width - len(one))] for one in lists], dtype=np.int32)
    return EvalResult(None, padded, None, item_statistics(events, N_ITEMS), N_ITEMS)


CODES = st.integers(0, N_ITEMS - 1)
HISTORIES = st.lists(st.lists(CODES, max_size=5), min_size=1, max_size=5)
LISTS = st.lists(st.lists(CODES, max_size=4, unique=True), min_size=1, max_size=6)


def holders(histories: list[list[int]], item: int) -> set[int]:
    return {user for user, items in enumerate(histories) if item in items}


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else np.nan


def gini(counts: npt.NDArray[np.int64]) -> float:
    """Half the mean difference of all pairs, relative to the mean."""
    if not counts.sum():
        return np.nan
    return float(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))


@given(HISTORIES, LISTS, st.integers(1, 5))
def test_values_are_those_of_brute_force(histories: list[list[int]], lists: list[list[int]], k: int) -> None:
    data = result(histories, lists)
    n_users = max(1, sum(bool(items) for items in histories))
    cut = [one[:k] for one in lists]
    shown = np.bincount([item for one in cut for item in one], minlength=N_ITEMS)
    vectors = np.array([[float(item in items) for items in histories] for item in range(N_ITEMS)])
    distance = 1 - cosine_similarity(vectors)
    surprise = [-np.log2(max(1, len(holders(histories, item))) / n_users) for item in range(N_ITEMS)]
    assert Coverage(AtK(k=k)).values(data) == pytest.approx([np.count_nonzero(shown) / N_ITEMS])
    assert Gini(AtK(k=k)).values(data) == pytest.approx([gini(shown)], nan_ok=True)
    assert Novelty(AtK(k=k)).values(data) == pytest.approx(
        [mean([surprise[item] for item in one]) for one in cut], nan_ok=True
    )
    assert Diversity(AtK(k=k)).values(data) == pytest.approx(
        [mean([distance[a, b] for a, b in combinations(one, 2)]) for one in cut], nan_ok=True, abs=1e-6
    )


@given(HISTORIES, LISTS, st.integers(1, 5), st.sampled_from(METRICS))
def test_values_stay_within_their_bounds(
    histories: list[list[int]], lists: list[list[int]], k: int, metric: type[Metric]
) -> None:
    values = metric(AtK(k=k)).values(result(histories, lists))
    assert values.shape == ((1,) if metric.whole_set else (len(lists),))
    upper = np.log2(max(1, len(histories))) if metric is Novelty else 1.0
    defined = values[~np.isnan(values)]
    assert np.all((defined >= -1e-6) & (defined <= upper + 1e-6))


@given(HISTORIES, LISTS, st.integers(1, 4))
def test_longer_lists_never_cover_less(histories: list[list[int]], lists: list[list[int]], k: int) -> None:
    data = result(histories, lists)
    assert Coverage(AtK(k=k)).values(data) <= Coverage(AtK(k=k + 1)).values(data)


@given(HISTORIES, LISTS)
def test_blocks_of_lists_do_not_matter(histories: list[list[int]], lists: list[list[int]]) -> None:
    data, metric = result(histories, lists), Diversity(AtK(k=4))
    whole = metric.values(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LISTS_AT_ONCE", 1)
        assert metric.values(data) == pytest.approx(whole, nan_ok=True)


def test_equal_shares_have_no_bias_and_one_item_for_all_the_most() -> None:
    histories = [[0, 1]]
    assert Gini(AtK(k=1)).values(result(histories, [[item] for item in range(N_ITEMS)])) == pytest.approx(0.0)
    assert Gini(AtK(k=1)).values(result(histories, [[2]] * 9)) == pytest.approx(1 - 1 / N_ITEMS)


def test_items_of_the_same_users_are_not_diverse() -> None:
    histories = [[0, 1], [0, 1], [2]]
    values = Diversity(AtK(k=2)).values(result(histories, [[0, 1], [0, 2], [4, 5], [3]]))
    assert values == pytest.approx([0.0, 1.0, 1.0, np.nan], nan_ok=True, abs=1e-6)


def test_empty_lists_are_undefined() -> None:
    data = result([[0]], [[], []])
    assert Coverage(AtK()).values(data).tolist() == [0.0]
    for metric in (Gini, Novelty, Diversity):
        assert np.isnan(metric(AtK()).values(data)).all()
        assert np.isnan(metric(AtK()).reduce(metric(AtK()).values(data)))
