"""Ranks the catalogue for held-out users, in chunks, with ties counted fairly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.metric import EvalResult, ItemStatistics, Predictions, Ranks
from p5core.contracts.scorer import HistoryScorer
from p5core.data.holdout import Holdout
from p5core.errors import DataError, TrainingError
from p5core.evaluation.candidate_mask import CandidateMask, sample_negatives
from p5core.evaluation.score_matrix import ScoreMatrix, all_candidates, sampled_candidates, target_ranks, top_k

__all__ = ["rank"]

ROWS_AT_ONCE = 256
"""More rows than this gain nothing; so few stay in the processor's cache while they are counted."""


def rank(
    scorer: HistoryScorer,
    holdout: Holdout,
    statistics: ItemStatistics,
    needs: Set[str],
    *,
    depth: int = 0,
    fields: Mapping[str, str] | None = None,
    exclude_seen: bool,
    candidates: int,
    candidate_items: npt.NDArray[np.int32] | None,
    memory_mb: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> EvalResult:
    """Rank the held-out items, list the `depth` best items and predict fields, as far as `needs` asks.

    The rank of a target is 1 + the number of better candidates + half the number of equal ones. All items are
    candidates, or those of `candidate_items`, less what is in the history when `exclude_seen`. Other targets of the
    user stay candidates. A target that cannot be recommended, being in the history or of score -inf, has rank infinity.

    With `candidates` > 0 only the targets and so many sampled items that the user neither has nor looks for compete;
    such figures are higher than those of full ranking and not comparable with them (doi 10.1145/3394486.3403226).

    `fields` names the field of the events that "values" and "probabilities" predict; what the scorer does not predict
    is left out. Score matrices take at most `memory_mb`; `check` is called before each. Raises TrainingError for NaN
    scores, DataError when the held-out events lack a field.
    """
    n_items = len(statistics.users_per_item)
    mask = CandidateMask.of(holdout, n_items, exclude_seen, candidate_items)
    ranks, lists = None, None
    if needs & {"ranks", "lists"}:
        pool = np.arange(n_items, dtype=np.int32) if candidate_items is None else candidate_items
        rules = _Rules(depth if "lists" in needs else 0, candidates, pool, seed)
        n_rows = max(1, min(ROWS_AT_ONCE, memory_mb * 2**20 // (4 * n_items)))
        ranks, lists = _ranked(scorer, holdout, mask, rules, n_rows, check)
    asked = {kind: field for kind, field in (fields or {}).items() if kind in needs}
    predicted = {kind: _predicted(scorer, holdout, field, check) for kind, field in asked.items()}
    present = {kind: values for kind, values in predicted.items() if values is not None}
    return EvalResult(ranks, lists, present, statistics, mask.n_items)


@dataclass(frozen=True, eq=False)
class _Rules:
    depth: int
    """length of the lists, 0 for none"""
    n_negatives: int
    """sampled items beside the targets, 0 for the whole catalogue"""
    pool: npt.NDArray[np.int32]
    """items that negatives are drawn from"""
    seed: int


def _ranked(
    scorer: HistoryScorer, holdout: Holdout, mask: CandidateMask, rules: _Rules, n_rows: int, check: Callable[[], None]
) -> tuple[Ranks, npt.NDArray[np.int32] | None]:
    ranks, counts, lists = [], [], []
    for rows in _chunks(len(holdout), n_rows):
        check()
        with torch.inference_mode():
            matrix = _score_matrix(scorer, holdout, mask, rules, rows)
            ranks.append(target_ranks(matrix).cpu().numpy())
            counts.append(matrix.scores.shape[1] - matrix.n_absent.cpu().numpy())
            if rules.depth:
                lists.append(top_k(matrix, rules.depth))
    result = Ranks(np.concatenate(ranks), mask.targets.offsets, np.concatenate(counts))
    return result, np.concatenate(lists) if rules.depth else None


def _score_matrix(
    scorer: HistoryScorer, holdout: Holdout, mask: CandidateMask, rules: _Rules, rows: npt.NDArray[np.int64]
) -> ScoreMatrix:
    scores = scorer.scores(holdout.users[rows], holdout.histories.take(rows))
    _refuse_nan(scores)
    if not rules.n_negatives:
        return all_candidates(scores, mask, rows)
    negatives = []
    for row in rows.tolist():
        excluded = np.union1d(mask.targets[row], holdout.histories[row])
        negatives.append(sample_negatives(rules.n_negatives, rules.pool, excluded, rules.seed, int(holdout.users[row])))
    return sampled_candidates(scores, mask, rows, negatives)


def _chunks(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, n, size):
        yield np.arange(begin, min(n, begin + size))


def _refuse_nan(scores: Tensor) -> None:
    # The sum is one quick pass; it is NaN too for scores of both infinities, hence the second look.
    if bool(scores.sum().isnan()) and bool(scores.isnan().any()):
        raise TrainingError("The model gives NaN scores. Lower the learning rate or look for NaN among the features.")


def _predicted(scorer: HistoryScorer, holdout: Holdout, field: str, check: Callable[[], None]) -> Predictions | None:
    if field not in holdout.fields:
        raise DataError(
            f"The chosen metrics compare the field '{field}', and the held-out events have none. Name its column in "
            "[data], or keep it with prepare.fields."
        )
    parts = []
    for rows in _chunks(len(holdout), ROWS_AT_ONCE):
        check()
        targets = holdout.targets.take(rows)
        predicted = scorer.predict(field, holdout.users[rows], holdout.histories.take(rows), targets)
        if predicted is None:
            return None
        parts.append(predicted)
    values = np.concatenate(parts).astype(np.float64)
    if np.isnan(values).any():
        raise TrainingError(
            f"The model predicts NaN for '{field}'. Lower the learning rate or look for NaN among the features."
        )
    return Predictions(values, holdout.fields[field].astype(np.float64), holdout.targets.offsets)
