"""The full softmax over the catalogue."""

from __future__ import annotations

from torch import Tensor

from p5core.contracts.loss import ItemScorer, RankingLoss
from p5plugins.losses.chunks import cross_entropy_in_chunks, rows_at_once
from p5plugins.losses.options import SoftmaxConfig

__all__ = ["CrossEntropy"]


class CrossEntropy(RankingLoss):
    """-log softmax of the right item among all: exact, with the scores of some hundred states in memory at a time."""

    name = "cross_entropy"
    Config = SoftmaxConfig

    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        """Score all items for all states."""
        return cross_entropy_in_chunks(states / self.config.temperature, items.vectors(), targets)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """The scores of one chunk and what the logsumexp of them needs, in float32."""
        return 2 * 4 * min(n_states, rows_at_once(n_items)) * n_items
