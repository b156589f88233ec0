"""The competition of candidates for the places of some users, as one matrix of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from p5core.evaluation.candidate_mask import Field

__all__ = ["Race", "among_sampled", "best", "places", "whole_catalogue"]


@dataclass(frozen=True, eq=False)
class Race:
    """The candidates of B users as a matrix of scores; what does not compete has -inf."""

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


def whole_catalogue(scores: Tensor, field: Field, rows: npt.NDArray[np.int64]) -> Race:
    """All items compete; the matrix of scores is masked in place."""
    targets, masked = field.targets.take(rows), field.masked.take(rows)
    at, items = _tensor(targets.rows, scores), _tensor(targets.values, scores)
    barred = _tensor(_barred(field, rows), scores).bool()
    scores[:, _tensor(field.outside, scores)] = -torch.inf
    scores[_tensor(masked.rows, scores), _tensor(masked.values, scores)] = -torch.inf
    scores[at[barred], items[barred]] = -torch.inf
    absent = scores.shape[1] - field.n_candidates[rows]
    return Race(scores, at, items, _tensor(absent, scores), None)


def _barred(field: Field, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """`field.barred` for the targets of consecutive users."""
    return field.barred[field.targets.offsets[rows[0]] : field.targets.offsets[rows[-1] + 1]]


def among_sampled(
    scores: Tensor, field: Field, rows: npt.NDArray[np.int64], negatives: list[npt.NDArray[np.int32]]
) -> Race:
    """The targets of each user, first in their row, and that user's `negatives` compete."""
    targets = field.targets.take(rows)
    starters = [np.concatenate([targets[row], negatives[row]]) for row in range(len(rows))]
    lengths = np.array([len(one) for one in starters])
    width = int(lengths.max())
    codes = _tensor(np.stack([np.pad(one, (0, width - len(one))) for one in starters]), scores)
    at = _tensor(targets.rows, scores)
    columns = _tensor(np.arange(len(targets.values)) - targets.offsets[targets.rows], scores)
    barred = _tensor(_barred(field, rows), scores).bool()
    chosen = scores.gather(1, codes)
    chosen[torch.arange(width, device=scores.device) >= _tensor(lengths, scores)[:, None]] = -torch.inf
    chosen[at[barred], columns[barred]] = -torch.inf
    return Race(chosen, at, columns, _tensor(width - lengths, scores), codes)


def places(race: Race) -> Tensor:
    """(n_targets,) float64 ranks: 1 + better + half of the equal; infinite for what does not compete."""
    wanted = race.scores[race.rows, race.columns]
    better, equal = torch.zeros_like(race.rows), torch.zeros_like(race.rows)
    for found, rows in _one_target_each(race):
        scores = race.scores if len(rows) == len(race.scores) else race.scores[rows]
        bar = wanted[found, None]
        better[found] = (scores > bar).sum(1, dtype=torch.int32).long()
        equal[found] = (scores == bar).sum(1, dtype=torch.int32).long()
    ranks = 1 + better.double() + (equal.double() - 1) / 2
    return torch.where(wanted == -torch.inf, torch.inf, ranks)


def _one_target_each(race: Race) -> Iterator[tuple[Tensor, Tensor]]:
    """The first target of every user, then the second of those who have two …: places among targets, and rows."""
    counts = torch.bincount(race.rows, minlength=len(race.scores))
    nth = torch.arange(len(race.rows), device=counts.device) - (counts.cumsum(0) - counts)[race.rows]
    for turn in range(int(counts.max())):
        found = torch.nonzero(nth == turn)[:, 0]
        yield found, race.rows[found]


def best(race: Race, k: int) -> npt.NDArray[np.int32]:
    """(B, k) codes of the best candidates, -1 where there are fewer."""
    top = race.scores.topk(min(k, race.scores.shape[1]), dim=1)
    codes = top.indices if race.codes is None else race.codes.gather(1, top.indices)
    codes = torch.where(top.values == -torch.inf, -1, codes)
    return pad(codes, (0, k - codes.shape[1]), value=-1).cpu().numpy().astype(np.int32)


def _tensor(values: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.as_tensor(values.astype(np.int64), device=like.device)
