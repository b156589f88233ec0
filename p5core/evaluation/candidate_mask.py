"""Masks of the items that are ranked for each user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from p5core.data.dataset import Ragged, distinct
from p5core.data.holdout import Holdout

__all__ = ["CandidateMask", "sample_negatives"]


@dataclass(frozen=True, eq=False)
class CandidateMask:
    """The candidate items of M users."""

    targets: Ragged
    """target items of each user, unique and ascending"""

    barred: npt.NDArray[np.bool_]
    """(n_targets,) True for targets that may not be recommended: seen, or of another domain"""

    masked: Ragged
    """seen items that are no targets"""

    outside: npt.NDArray[np.int32]
    """items that may not be recommended to anyone"""

    n_candidates: npt.NDArray[np.int64]
    """(M,) items that are ranked: all but the masked ones and those outside, and every target"""

    n_items: int
    """items that may be recommended"""

    @classmethod
    def of(
        cls, holdout: Holdout, n_items: int, exclude_seen: bool, candidate_items: npt.NDArray[np.int32] | None
    ) -> CandidateMask:
        """Build the mask of a holdout in a catalogue of `n_items` V."""
        allowed = np.ones(n_items, dtype=np.bool_)
        if candidate_items is not None:
            allowed[:] = False
            allowed[candidate_items] = True
        n_users = len(holdout)
        targets = _keys(holdout.targets, n_items)
        seen = _keys(holdout.histories, n_items) if exclude_seen else np.zeros(0, dtype=np.int64)
        masked = seen[allowed[seen % n_items] & ~np.isin(seen, targets)]
        within = np.bincount(targets[~allowed[targets % n_items]] // n_items, minlength=n_users)
        n_allowed = int(np.count_nonzero(allowed))
        return cls(
            targets=_ragged(targets, n_users, n_items),
            barred=np.isin(targets, seen) | ~allowed[targets % n_items],
            masked=_ragged(masked, n_users, n_items),
            outside=np.flatnonzero(~allowed).astype(np.int32),
            n_candidates=n_allowed + within - np.bincount(masked // n_items, minlength=n_users),
            n_items=n_allowed,
        )


def _keys(lists: Ragged, n_items: int) -> npt.NDArray[np.int64]:
    """Each (list, item) pair once, as one ascending number."""
    return distinct(lists.rows * n_items + lists.values)


def _ragged(keys: npt.NDArray[np.int64], n_lists: int, n_items: int) -> Ragged:
    rows, codes = np.divmod(keys, n_items)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_lists))]).astype(np.int64)
    return Ragged(codes.astype(np.int32), offsets)


def sample_negatives(
    n: int, pool: npt.NDArray[np.int32], excluded: npt.NDArray[np.int32], seed: int, user: int
) -> npt.NDArray[np.int32]:
    """Draw `n` items of the pool uniformly, none twice and none of the `excluded`; fewer when the pool is too small.

    The draw is a function of `seed` and `user` alone, whatever other users are evaluated beside.
    """
    rng = np.random.default_rng([seed, user])
    drawn = rng.choice(pool, min(len(pool), n + len(excluded)), replace=False)
    return drawn[~np.isin(drawn, excluded)][:n]
