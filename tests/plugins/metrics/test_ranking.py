"""Ranking metrics by property, by brute force and against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import rankdata
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    ndcg_score,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

from p5core.contracts.metric import AtK, EvalResult, ItemStatistics, Metric, Ranks
from p5core.contracts.part import NoOptions
from p5plugins.metrics.ranking import AUC, F1, MAP, MRR, NDCG, HitRate, Precision, Recall

AT_K: list[type[Metric]] = [HitRate, Recall, Precision, F1, NDCG, MAP, MRR]
FloatArray = npt.NDArray[np.float64]


def result(ranks: Sequence[Sequence[float]], n_candidates: Sequence[int]) -> EvalResult:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in ranks])]).astype(np.int64)
    flat = np.array([place for one in ranks for place in one], dtype=np.float64)
    statistics = ItemStatistics(np.zeros(1, dtype=np.int64), 1, csr_array((1, 1)))
    return EvalResult(Ranks(flat, offsets, np.array(n_candidates)), None, None, statistics, 1)


def of_scores(users: Sequence[tuple[FloatArray, list[int]]]) -> EvalResult:
    """The result of scores over candidates and the targets among them."""
    places = [rankdata(-scores)[targets].tolist() for scores, targets in users]
    return result(places, [len(scores) for scores, _ in users])


@st.composite
def users(draw: st.DrawFn, ties: bool = True) -> tuple[FloatArray, list[int]]:
    """Scores of a user's candidates, and some of them as targets, but not all."""
    n = draw(st.integers(2, 12))
    score = st.integers(0, 3 if ties else 1000).map(float)
    scores = draw(st.lists(score, min_size=n, max_size=n, unique=not ties))
    targets = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n - 1, unique=True))
    return np.array(scores), targets


def relevance(n: int, targets: list[int]) -> npt.NDArray[np.int64]:
    return np.isin(np.arange(n), targets).astype(np.int64)


def one(metric: Metric, scores: FloatArray, targets: list[int]) -> float:
    return float(metric.values(of_scores([(scores, targets)]))[0])


@given(st.lists(users(), min_size=1, max_size=5), st.integers(1, 14), st.sampled_from(AT_K))
def test_values_stay_between_0_and_1(several: list[tuple[FloatArray, list[int]]], k: int, metric: type[Metric]) -> None:
    values = metric(AtK(k=k)).values(of_scores(several))
    assert values.shape == (len(several),)
    assert np.all((values >= 0) & (values <= 1 + 1e-12))


@given(users())
def test_auc_stays_between_0_and_1(user: tuple[FloatArray, list[int]]) -> None:
    assert -1e-12 <= one(AUC(NoOptions()), *user) <= 1 + 1e-12


@given(st.integers(1, 6), st.integers(0, 6))
def test_a_perfect_ranking_gives_1(n_targets: int, n_others: int) -> None:
    perfect = result([[float(place) for place in range(1, n_targets + 1)]], [n_targets + n_others])
    for metric in (HitRate, Recall, Precision, F1, NDCG, MAP, MRR):
        assert metric(AtK(k=n_targets)).values(perfect) == pytest.approx(1.0)
    for metric in (HitRate, Recall, NDCG, MAP, MRR):
        assert metric(AtK(k=n_targets + 3)).values(perfect) == pytest.approx(1.0)
    if n_others:
        assert AUC(NoOptions()).values(perfect) == pytest.approx(1.0)


@given(users(), st.integers(1, 12))
def test_more_places_never_find_less(user: tuple[FloatArray, list[int]], k: int) -> None:
    for metric in (HitRate, Recall, MRR):
        assert one(metric(AtK(k=k)), *user) <= one(metric(AtK(k=k + 1)), *user)


@given(users(ties=False), st.integers(1, 12), st.sampled_from([*AT_K, AUC]))
def test_a_better_place_is_never_worse(user: tuple[FloatArray, list[int]], k: int, metric: type[Metric]) -> None:
    scores, targets = user
    raised = scores.copy()
    raised[targets[0]] = 2000.0
    built = metric(NoOptions() if metric is AUC else AtK(k=k))
    assert one(built, raised, targets) >= one(built, scores, targets) - 1e-12


@given(st.lists(users(), min_size=2, max_size=6), st.integers(1, 12))
def test_users_do_not_touch_each_other(several: list[tuple[FloatArray, list[int]]], k: int) -> None:
    for metric in [*(kind(AtK(k=k)) for kind in AT_K), AUC(NoOptions())]:
        together = metric.values(of_scores(several))
        assert together == pytest.approx(np.array([one(metric, *user) for user in several]))


@given(st.integers(2, 12), st.integers(1, 11))
def test_a_constant_scorer_gains_nothing(n: int, n_targets: int) -> None:
    targets = list(range(min(n_targets, n - 1)))
    assert one(AUC(NoOptions()), np.zeros(n), targets) == pytest.approx(0.5)
    # Shuffled scores have AUC ½ on average; so has every single order together with its reverse.
    order = np.random.default_rng(n).permutation(n).astype(np.float64)
    there, back = one(AUC(NoOptions()), order, targets), one(AUC(NoOptions()), -order, targets)
    assert (there + back) / 2 == pytest.approx(0.5)


def test_a_constant_scorer_hits_nothing_in_a_large_catalogue() -> None:
    for metric in AT_K:
        assert one(metric(AtK(k=10)), np.zeros(1000), [4]) == 0


def plain(name: str, scores: FloatArray, targets: list[int], k: int) -> float:
    """Each formula in a line over the sorted list, for scores without ties."""
    hits = [int(item) in targets for item in np.argsort(-scores)][:k]
    found, total = sum(hits), len(targets)
    return {
        "hr": float(any(hits)),
        "recall": found / total,
        "precision": found / k,
        "f1": 0.0 if not found else 2 / (k / found + total / found),
        "ndcg": sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
        / sum(1 / math.log2(place + 2) for place in range(min(k, total))),
        "map": sum(sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit) / min(k, total),
        "mrr": next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0),
    }[name]


@given(users(ties=False), st.integers(1, 14), st.sampled_from(AT_K))
def test_values_are_those_of_brute_force(user: tuple[FloatArray, list[int]], k: int, metric: type[Metric]) -> None:
    assert one(metric(AtK(k=k)), *user) == pytest.approx(plain(metric.name, *user, k))


@given(users())
def test_auc_is_the_share_of_right_pairs(user: tuple[FloatArray, list[int]]) -> None:
    scores, targets = user
    others = [item for item in range(len(scores)) if item not in targets]
    pairs = [(scores[a] > scores[b]) + (scores[a] == scores[b]) / 2 for a in targets for b in others]
    assert one(AUC(NoOptions()), scores, targets) == pytest.approx(np.mean(pairs))


Library = Callable[[npt.NDArray[np.int64], FloatArray, int], float]


def top(scores: FloatArray, k: int) -> npt.NDArray[np.int64]:
    return (rankdata(-scores) <= k).astype(np.int64)


def by_counts(truth: npt.NDArray[np.int64], scores: FloatArray, k: int, place: int) -> float:
    found = precision_recall_fscore_support(truth, top(scores, k), average="binary", zero_division=0.0)
    return float(found[place])


LIBRARY: dict[type[Metric], Library] = {
    NDCG: lambda truth, scores, k: ndcg_score([truth], [scores], k=k),
    Precision: lambda truth, scores, k: by_counts(truth, scores, k, 0),
    Recall: lambda truth, scores, k: by_counts(truth, scores, k, 1),
    F1: lambda truth, scores, k: by_counts(truth, scores, k, 2),
}


@given(users(ties=False), st.integers(1, 12), st.sampled_from(sorted(LIBRARY, key=lambda metric: metric.name)))
def test_values_at_k_are_those_of_scikit_learn(
    user: tuple[FloatArray, list[int]], k: int, metric: type[Metric]
) -> None:
    scores, targets = user
    k = min(k, len(scores))
    expected = LIBRARY[metric](relevance(len(scores), targets), scores, k)
    assert one(metric(AtK(k=k)), scores, targets) == pytest.approx(expected)


@given(users(ties=False))
def test_values_of_whole_rankings_are_those_of_scikit_learn(user: tuple[FloatArray, list[int]]) -> None:
    scores, targets = user
    truth, everything = relevance(len(scores), targets), AtK(k=len(scores))
    assert one(MAP(everything), scores, targets) == pytest.approx(average_precision_score(truth, scores))
    assert one(MAP(everything), scores, targets) == pytest.approx(
        label_ranking_average_precision_score([truth], [scores])
    )
    single = relevance(len(scores), targets[:1])
    assert one(MRR(everything), scores, targets[:1]) == pytest.approx(
        label_ranking_average_precision_score([single], [scores])
    )


@given(users())
def test_auc_is_that_of_scikit_learn(user: tuple[FloatArray, list[int]]) -> None:
    scores, targets = user
    expected = roc_auc_score(relevance(len(scores), targets), scores)
    assert one(AUC(NoOptions()), scores, targets) == pytest.approx(expected)


def test_the_hit_rate_is_the_top_k_accuracy_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    table, targets = rng.random((50, 20)), rng.integers(20, size=50)
    data = of_scores([(row, [int(target)]) for row, target in zip(table, targets, strict=True)])
    for k in (1, 5, 10):
        expected = top_k_accuracy_score(targets, table, k=k, labels=range(20))
        assert HitRate(AtK(k=k)).values(data).mean() == pytest.approx(expected)


def test_targets_that_share_places_fill_no_more_than_k() -> None:
    tied = result([[2.0, 2.0, 2.0]], [9])
    assert Precision(AtK(k=2)).values(tied) == pytest.approx(1.0)
    assert Recall(AtK(k=2)).values(tied) == pytest.approx(2 / 3)
    assert NDCG(AtK(k=2)).values(tied) <= 1


def test_auc_without_other_candidates_is_undefined() -> None:
    assert np.isnan(AUC(NoOptions()).values(result([[1.0, 2.0]], [2]))).all()


@given(st.integers(1, 50), st.sampled_from(AT_K))
def test_what_cannot_be_recommended_is_a_miss_at_any_k(k: int, metric: type[Metric]) -> None:
    never = result([[math.inf], [math.inf, 1.0]], [5, 5])
    found = metric(AtK(k=k)).values(never)
    assert found[0] == 0
    assert found[1] == metric(AtK(k=k)).values(result([[1.0, 1e9]], [5]))[0]


def test_what_cannot_be_recommended_stands_below_every_candidate_in_auc() -> None:
    assert AUC(NoOptions()).values(result([[math.inf], [2.0, math.inf], [math.inf] * 2], [5, 4, 4])).tolist() == [
        0.0,
        0.25,
        0.0,
    ]
