"""Ranks and lists against brute force, whatever the chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from support import rated
from torch import Tensor

from p5core.contracts.metric import EvalResult, ItemStatistics, Ranks
from p5core.data.dataset import Ragged
from p5core.data.holdout import Holdout
from p5core.errors import DataError, TrainingError
from p5core.evaluation import ranking
from p5core.evaluation.candidate_mask import sample_negatives
from p5core.evaluation.ranking import rank

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fixed:
    """Scores and ratings that are known beforehand."""

    table: FloatArray
    """(U, V)"""

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        return torch.from_numpy(self.table[users].astype(np.float32))

    def predict(self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> FloatArray:
        return self.table[users[targets.rows], targets.values]


class Unrated:
    """A scorer that ranks and does not rate."""

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        return torch.zeros(len(users), 4)

    def predict(self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> None:
        return None


def statistics(n_items: int) -> ItemStatistics:
    return ItemStatistics(np.ones(n_items, dtype=np.int64), 1, csr_array((n_items, 1)))


def holdout(histories: list[list[int]], targets: list[list[int]], ratings: list[float] | None = None) -> Holdout:
    users = np.arange(len(targets), dtype=np.int32)
    return Holdout(users, Ragged.of(histories), Ragged.of(targets), rated(ratings))


def run(
    scorer: Fixed | Unrated,
    held: Holdout,
    n_items: int,
    *,
    needs: tuple[str, ...] = ("ranks", "lists"),
    k: int = 3,
    exclude_seen: bool = True,
    candidates: int = 0,
    allowed: list[int] | None = None,
    seed: int = 0,
    memory_mb: int = 64,
) -> EvalResult:
    return rank(
        scorer,
        held,
        statistics(n_items),
        set(needs),
        depth=k,
        fields={"values": "rating"},
        exclude_seen=exclude_seen,
        candidates=candidates,
        candidate_items=None if allowed is None else np.array(allowed, dtype=np.int32),
        memory_mb=memory_mb,
        seed=seed,
    )


def ranks_of(result: EvalResult) -> Ranks:
    assert result.ranks is not None
    return result.ranks


def lists_of(result: EvalResult) -> npt.NDArray[np.int32]:
    assert result.lists is not None
    return result.lists


@st.composite
def problems(draw: st.DrawFn) -> tuple[FloatArray, Holdout, list[int] | None]:
    """Small problems with many ties, seen targets, repeated items and closed domains."""
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(2, 9))
    codes = st.integers(0, n_items - 1)
    histories = draw(st.lists(st.lists(codes, max_size=6), min_size=n_users, max_size=n_users))
    targets = draw(st.lists(st.lists(codes, min_size=1, max_size=4), min_size=n_users, max_size=n_users))
    score = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])
    table = draw(st.lists(st.lists(score, min_size=n_items, max_size=n_items), min_size=n_users, max_size=n_users))
    allowed = draw(st.none() | st.lists(codes, min_size=1, unique=True))
    return np.array(table), holdout(histories, targets), allowed


def brute_force(
    scores: FloatArray, seen: set[int], targets: list[int], allowed: list[int] | None
) -> tuple[list[float], int]:
    """Ranks of one user's targets, ascending by code, and the number of candidates; -inf is never recommended."""
    free = set(range(len(scores)) if allowed is None else allowed) - seen
    field = {item: scores[item] if item in free else -np.inf for item in free | set(targets)}
    ranks = []
    for target in sorted(set(targets)):
        better = sum(value > field[target] for value in field.values())
        equal = sum(value == field[target] for value in field.values())
        ranks.append(1 + better + (equal - 1) / 2 if field[target] > -np.inf else np.inf)
    return ranks, len(field)


@given(problems(), st.booleans())
def test_ranks_are_those_of_brute_force(
    problem: tuple[FloatArray, Holdout, list[int] | None], exclude_seen: bool
) -> None:
    table, held, allowed = problem
    found = ranks_of(run(Fixed(table), held, table.shape[1], exclude_seen=exclude_seen, allowed=allowed))
    for user in range(len(held)):
        seen = set(held.histories[user].tolist()) if exclude_seen else set()
        ranks, n_candidates = brute_force(table[user], seen, held.targets[user].tolist(), allowed)
        assert found.ranks[found.offsets[user] : found.offsets[user + 1]].tolist() == ranks
        assert found.n_candidates[user] == n_candidates


@given(problems(), st.integers(1, 12))
def test_lists_hold_the_best_items_that_may_be_recommended(
    problem: tuple[FloatArray, Holdout, list[int] | None], k: int
) -> None:
    table, held, allowed = problem
    result = run(Fixed(table), held, table.shape[1], k=k, allowed=allowed)
    for user, codes in enumerate(lists_of(result).tolist()):
        free = set(range(table.shape[1]) if allowed is None else allowed) - set(held.histories[user].tolist())
        best = sorted((table[user, item] for item in free if np.isfinite(table[user, item])), reverse=True)[:k]
        filled = [code for code in codes if code >= 0]
        assert codes == filled + [-1] * (k - len(filled))
        assert set(filled) <= free
        assert table[user, filled].tolist() == best


@given(problems(), st.integers(1, 4), st.integers(0, 3))
def test_chunks_do_not_matter(
    problem: tuple[FloatArray, Holdout, list[int] | None], n_rows: int, candidates: int
) -> None:
    table, held, allowed = problem
    whole = run(Fixed(table), held, table.shape[1], allowed=allowed, candidates=candidates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "ROWS_AT_ONCE", n_rows)
        chunked = run(Fixed(table), held, table.shape[1], allowed=allowed, candidates=candidates)
    assert np.array_equal(ranks_of(whole).ranks, ranks_of(chunked).ranks)
    assert np.array_equal(ranks_of(whole).n_candidates, ranks_of(chunked).n_candidates)


def test_a_constant_scorer_gets_the_mean_rank_of_a_random_one() -> None:
    rng = np.random.default_rng(0)
    held = holdout([[]] * 4000, [[3]] * 4000)
    constant = ranks_of(run(Fixed(np.zeros((4000, 9))), held, 9)).ranks
    random = ranks_of(run(Fixed(rng.random((4000, 9))), held, 9)).ranks
    assert constant.tolist() == [5.0] * 4000
    assert random.mean() == pytest.approx(5.0, abs=0.15)


def test_a_target_in_the_history_is_never_found() -> None:
    held = holdout([[0, 2]], [[2]])
    found = ranks_of(run(Fixed(np.array([[4.0, 3.0, 9.0, 1.0]])), held, 4))
    assert (found.ranks.tolist(), found.n_candidates.tolist()) == ([np.inf], [3])
    sampled = ranks_of(run(Fixed(np.array([[4.0, 3.0, 9.0, 1.0]])), held, 4, candidates=2))
    assert sampled.ranks.tolist() == [np.inf]
    open_field = ranks_of(run(Fixed(np.array([[4.0, 3.0, 9.0, 1.0]])), held, 4, exclude_seen=False))
    assert (open_field.ranks.tolist(), open_field.n_candidates.tolist()) == ([1.0], [4])


def test_memory_bounds_the_rows_of_a_matrix() -> None:
    shapes = []

    class Watched(Fixed):
        def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
            shapes.append(len(users))
            return super().scores(users, histories)

    n_items = 2**17
    run(Watched(np.zeros((5, n_items))), holdout([[]] * 5, [[0]] * 5), n_items, memory_mb=1)
    assert shapes == [2, 2, 1]


def test_only_what_is_needed_is_computed() -> None:
    scorer, held = Fixed(np.eye(2)), holdout([[], []], [[0], [1]], [3.0, 4.0])
    ranks = run(scorer, held, 2, needs=("ranks",))
    assert ranks.lists is None
    assert ranks.predictions == {}
    ratings = run(scorer, held, 2, needs=("values",))
    assert ratings.ranks is None
    assert ratings.predictions["values"].predicted.tolist() == [1.0, 1.0]
    assert ratings.predictions["values"].observed.tolist() == [3.0, 4.0]


def test_a_scorer_that_does_not_rate_leaves_ratings_out() -> None:
    assert run(Unrated(), holdout([[]], [[0]], [5.0]), 4, needs=("values",)).predictions == {}


def test_ratings_need_rated_events() -> None:
    with pytest.raises(DataError, match="the held-out events have none"):
        run(Fixed(np.eye(2)), holdout([[]], [[0]]), 2, needs=("values",))


def test_nan_scores_are_refused() -> None:
    table = np.array([[0.0, np.nan, 1.0]])
    with pytest.raises(TrainingError, match="gives NaN scores"):
        run(Fixed(table), holdout([[]], [[0]]), 3)
    with pytest.raises(TrainingError, match="predicts NaN for 'rating'"):
        run(Fixed(table), holdout([[]], [[1]], [2.0]), 3, needs=("values",))


def test_infinite_scores_of_both_signs_are_no_nan() -> None:
    found = run(Fixed(np.array([[np.inf, -np.inf, 1.0]])), holdout([[]], [[2]]), 3)
    assert ranks_of(found).ranks.tolist() == [2.0]


def test_sampled_candidates_are_unseen_and_seeded() -> None:
    pool, known = np.arange(50, dtype=np.int32), np.array([3, 7, 9], dtype=np.int32)
    drawn = sample_negatives(20, pool, known, seed=1, user=5)
    assert len(set(drawn.tolist())) == 20
    assert not set(drawn.tolist()) & {3, 7, 9}
    assert drawn.tolist() == sample_negatives(20, pool, known, seed=1, user=5).tolist()
    assert drawn.tolist() != sample_negatives(20, pool, known, seed=2, user=5).tolist()
    assert drawn.tolist() != sample_negatives(20, pool, known, seed=1, user=6).tolist()
    assert sorted(sample_negatives(99, pool, known, seed=1, user=5).tolist()) == sorted(set(range(50)) - {3, 7, 9})


def test_sampled_candidates_are_drawn_uniformly() -> None:
    pool, known = np.arange(6, dtype=np.int32), np.array([0], dtype=np.int32)
    drawn = np.concatenate([sample_negatives(2, pool, known, 0, user) for user in range(5000)])
    counts = np.bincount(drawn, minlength=6)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx(2000, abs=150)


def test_candidate_evaluation_ranks_among_the_sample_alone() -> None:
    table = np.random.default_rng(0).random((30, 40))
    held = holdout([[1, 2]] * 30, [[0]] * 30)
    result = run(Fixed(table), held, 40, candidates=7, seed=3)
    found = ranks_of(result)
    assert set(found.n_candidates.tolist()) == {8}
    for user in range(30):
        negatives = sample_negatives(7, np.arange(40, dtype=np.int32), np.array([0, 1, 2]), 3, user)
        assert found.ranks[user] == 1 + np.sum(table[user, negatives] > table[user, 0])
        field = [0, *negatives.tolist()]
        assert lists_of(result)[user].tolist() == sorted(field, key=lambda item: -table[user, item])[:3]
