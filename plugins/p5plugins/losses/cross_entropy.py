"""The full softmax over the catalogue."""

from __future__ import annotations

from torch import Tensor

from p5core.contracts.loss import Candidates, RankingLoss
from p5plugins.losses.chunks import cross_entropy_in_chunks, rows_at_once
from p5plugins.losses.options import SoftmaxConfig

__all__ = ["CrossEntropy"]

UP_TO_ITEMS = 10_000
"""Catalogue for which it is the default whatever the log."""

UP_TO_WORK = 10_000_000_000
"""Items times events up to which a softmax over all items is worth its time: minutes an epoch on one core. On Beauty it
learnt more than any sample of the items."""


class CrossEntropy(RankingLoss):
    """Exact softmax cross-entropy over all items, computed in chunks of states."""

    name = "cross_entropy"
    Config = SoftmaxConfig
    is_default = True

    @classmethod
    def suits(cls, n_items: int, n_events: int) -> str | None:
        """A catalogue over which it takes minutes an epoch."""
        if n_items <= UP_TO_ITEMS or n_items * n_events <= UP_TO_WORK:
            return f"{n_items:,} items fit a full softmax"
        return None

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Score all items for all states."""
        return cross_entropy_in_chunks(states / self.config.temperature, candidates.vectors(), targets)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """The scores of one chunk and what the logsumexp of them needs, in float32."""
        return 2 * 4 * min(n_states, rows_at_once(n_items)) * n_items
