"""Score matrices of candidates, target ranks and top-k lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from p5core.evaluation.candidate_mask import CandidateMask

__all__ = ["ScoreMatrix", "all_candidates", "sampled_candidates", "target_ranks", "top_k"]


@dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """The candidate scores of B users; excluded entries are -inf."""

    scores: Tensor
    """(B, C)"""

    rows: Tensor
    """(n_targets,) row of each target"""

    columns: Tensor
    """(n_targets,) column of each target"""

    n_absent: Tensor
    """(B,) columns that do not compete"""

    codes: Tensor | None
    """(B, C) item of each column; None where columns are item codes"""


def all_candidates(scores: Tensor, mask: CandidateMask, rows: npt.NDArray[np.int64]) -> ScoreMatrix:
    """All items compete; the matrix of scores is masked in place."""
    targets, masked = mask.targets.take(rows), mask.masked.take(rows)
    at, items = _tensor(targets.rows, scores), _tensor(targets.values, scores)
    barred = _tensor(_barred(mask, rows), scores).bool()
    scores[:, _tensor(mask.outside, scores)] = -torch.inf
    scores[_tensor(masked.rows, scores), _tensor(masked.values, scores)] = -torch.inf
    scores[at[barred], items[barred]] = -torch.inf
    absent = scores.shape[1] - mask.n_candidates[rows]
    return ScoreMatrix(scores, at, items, _tensor(absent, scores), None)


def _barred(mask: CandidateMask, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """`mask.barred` for the targets of consecutive users."""
    return mask.barred[mask.targets.offsets[rows[0]] : mask.targets.offsets[rows[-1] + 1]]


def sampled_candidates(
    scores: Tensor, mask: CandidateMask, rows: npt.NDArray[np.int64], negatives: list[npt.NDArray[np.int32]]
) -> ScoreMatrix:
    """The targets of each user, first in their row, and that user's `negatives` compete."""
    targets = mask.targets.take(rows)
    starters = [np.concatenate([targets[row], negatives[row]]) for row in range(len(rows))]
    lengths = np.array([len(start) for start in starters])
    width = int(lengths.max())
    codes = _tensor(np.stack([np.pad(start, (0, width - len(start))) for start in starters]), scores)
    at = _tensor(targets.rows, scores)
    columns = _tensor(np.arange(len(targets.values)) - targets.offsets[targets.rows], scores)
    barred = _tensor(_barred(mask, rows), scores).bool()
    chosen = scores.gather(1, codes)
    chosen[torch.arange(width, device=scores.device) >= _tensor(lengths, scores)[:, None]] = -torch.inf
    chosen[at[barred], columns[barred]] = -torch.inf
    return ScoreMatrix(chosen, at, columns, _tensor(width - lengths, scores), codes)


def target_ranks(matrix: ScoreMatrix) -> Tensor:
    """(n_targets,) float64 ranks: 1 + better + half of the equal; infinite for what does not compete."""
    target_scores = matrix.scores[matrix.rows, matrix.columns]
    better, equal = torch.zeros_like(matrix.rows), torch.zeros_like(matrix.rows)
    for places, rows in _one_target_each(matrix):
        scores = matrix.scores if len(rows) == len(matrix.scores) else matrix.scores[rows]
        bar = target_scores[places, None]
        better[places] = (scores > bar).sum(1, dtype=torch.int32).long()
        equal[places] = (scores == bar).sum(1, dtype=torch.int32).long()
    ranks = 1 + better.double() + (equal.double() - 1) / 2
    return torch.where(target_scores == -torch.inf, torch.inf, ranks)


def _one_target_each(matrix: ScoreMatrix) -> Iterator[tuple[Tensor, Tensor]]:
    """The first target of every user, then the second of those who have two …: places among targets, and rows."""
    counts = torch.bincount(matrix.rows, minlength=len(matrix.scores))
    nth = torch.arange(len(matrix.rows), device=counts.device) - (counts.cumsum(0) - counts)[matrix.rows]
    for turn in range(int(counts.max())):
        places = torch.nonzero(nth == turn)[:, 0]
        yield places, matrix.rows[places]


def top_k(matrix: ScoreMatrix, k: int) -> npt.NDArray[np.int32]:
    """(B, k) codes of the best candidates, -1 where there are fewer."""
    top = matrix.scores.topk(min(k, matrix.scores.shape[1]), dim=1)
    codes = top.indices if matrix.codes is None else matrix.codes.gather(1, top.indices)
    codes = torch.where(top.values == -torch.inf, -1, codes)
    return pad(codes, (0, k - codes.shape[1]), value=-1).cpu().numpy().astype(np.int32)


def _tensor(values: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.as_tensor(values.astype(np.int64), device=like.device)
