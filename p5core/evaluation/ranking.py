"""Ranks the catalogue for held-out users, in chunks, with ties counted fairly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.eval_result import EvalResult, ItemStatistics, Ranks, Ratings
from p5core.contracts.scorer import RatingScorer, Scorer
from p5core.data.split import Holdout
from p5core.errors import DataError, TrainingError
from p5core.evaluation.candidate_mask import CandidateMask, sample_negatives
from p5core.evaluation.score_matrix import ScoreMatrix, all_candidates, sampled_candidates, target_ranks, top_k

__all__ = ["rank"]

ROWS_AT_ONCE = 256
"""More rows than this gain nothing; so few stay in the processor's cache while they are counted."""


def rank(
    scorer: Scorer,
    holdout: Holdout,
    statistics: ItemStatistics,
    needs: Set[str],
    *,
    k: int,
    exclude_seen: bool,
    candidates: int,
    candidate_items: npt.NDArray[np.int32] | None,
    memory_mb: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> EvalResult:
    """Find the places of the held-out items, the `k` best items and the ratings, as far as `needs` asks.

    The rank of a target is 1 + the number of better candidates + half the number of equal ones. All items are
    candidates, or those of `candidate_items`, less what is in the history when `exclude_seen`. Other targets of the
    user stay candidates. A target that cannot be recommended, because it is in the history or has the score -inf, has
    the rank infinity: a miss at any k.

    With `candidates` > 0 only the targets and so many sampled items that the user neither has nor looks for compete;
    such figures are higher than those of full ranking and cannot be compared with them (doi 10.1145/3394486.3403226).

    Score matrices take at most `memory_mb`; `check` is called before each. Raises TrainingError for NaN scores,
    DataError when ratings are needed and the held-out events have none. `ratings` stay None when the scorer predicts
    none.
    """
    n_items = len(statistics.users_per_item)
    mask = CandidateMask.of(holdout, n_items, exclude_seen, candidate_items)
    ranks, lists = None, None
    if needs & {"ranks", "lists"}:
        pool = np.arange(n_items, dtype=np.int32) if candidate_items is None else candidate_items
        rules = _Rules(k if "lists" in needs else 0, candidates, pool, seed)
        n_rows = max(1, min(ROWS_AT_ONCE, memory_mb * 2**20 // (4 * n_items)))
        ranks, lists = _ranked(scorer, holdout, mask, rules, n_rows, check)
    ratings = _rated(scorer, holdout, check) if "ratings" in needs else None
    return EvalResult(ranks, lists, ratings, statistics, mask.n_items)


@dataclass(frozen=True, eq=False)
class _Rules:
    k: int
    """length of the lists, 0 for none"""
    n_negatives: int
    """sampled items beside the targets, 0 for the whole catalogue"""
    pool: npt.NDArray[np.int32]
    """what negatives are drawn from"""
    seed: int


def _ranked(
    scorer: Scorer, holdout: Holdout, mask: CandidateMask, rules: _Rules, n_rows: int, check: Callable[[], None]
) -> tuple[Ranks, npt.NDArray[np.int32] | None]:
    ranks, counts, lists = [], [], []
    for rows in _chunks(len(holdout), n_rows):
        check()
        with torch.inference_mode():
            matrix = _score_matrix(scorer, holdout, mask, rules, rows)
            ranks.append(target_ranks(matrix).cpu().numpy())
            counts.append(matrix.scores.shape[1] - matrix.n_absent.cpu().numpy())
            if rules.k:
                lists.append(top_k(matrix, rules.k))
    found = Ranks(np.concatenate(ranks), mask.targets.offsets, np.concatenate(counts))
    return found, np.concatenate(lists) if rules.k else None


def _score_matrix(
    scorer: Scorer, holdout: Holdout, mask: CandidateMask, rules: _Rules, rows: npt.NDArray[np.int64]
) -> ScoreMatrix:
    scores = scorer.scores(holdout.users[rows], holdout.histories.take(rows))
    _refuse_nan(scores)
    if not rules.n_negatives:
        return all_candidates(scores, mask, rows)
    negatives = []
    for row in rows.tolist():
        known = np.union1d(mask.targets[row], holdout.histories[row])
        negatives.append(sample_negatives(rules.n_negatives, rules.pool, known, rules.seed, int(holdout.users[row])))
    return sampled_candidates(scores, mask, rows, negatives)


def _chunks(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, n, size):
        yield np.arange(begin, min(n, begin + size))


def _refuse_nan(scores: Tensor) -> None:
    # The sum is one quick pass; it is NaN too for scores of both infinities, hence the second look.
    if bool(scores.sum().isnan()) and bool(scores.isnan().any()):
        raise TrainingError("The model gives NaN scores. Lower the learning rate or look for NaN among the features.")


def _rated(scorer: Scorer, holdout: Holdout, check: Callable[[], None]) -> Ratings | None:
    if holdout.ratings is None:
        raise DataError("The chosen metrics compare ratings, and the held-out events have none. Load a rating column.")
    if not isinstance(scorer, RatingScorer):
        return None
    found = []
    for rows in _chunks(len(holdout), ROWS_AT_ONCE):
        check()
        targets = holdout.targets.take(rows)
        found.append(scorer.ratings(holdout.users[rows], holdout.histories.take(rows), targets))
    predicted = np.concatenate(found).astype(np.float64)
    if np.isnan(predicted).any():
        raise TrainingError(
            "The model predicts NaN ratings. Lower the learning rate or look for NaN among the features."
        )
    return Ratings(predicted, holdout.ratings.astype(np.float64), holdout.targets.offsets)
