"""The full softmax over the catalogue, at once and in chunks."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from p5core.parts.loss import ItemScorer, RankingLoss
from p5plugins.losses.chunks import cross_entropy_in_chunks
from p5plugins.losses.options import SoftmaxConfig

__all__ = ["ChunkedCrossEntropy", "ChunkedCrossEntropyConfig", "CrossEntropy"]


class CrossEntropy(RankingLoss):
    """-log softmax of the right item among all: exact, with N × V scores in memory twice."""

    name = "cross_entropy"
    Config = SoftmaxConfig

    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        """Score all items for all states at once."""
        return F.cross_entropy(states / self.config.temperature @ items.vectors().T, targets)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """Scores, their log-softmax and the gradient of either, in float32."""
        return 3 * 4 * n_states * n_items


class ChunkedCrossEntropyConfig(SoftmaxConfig):
    """Options of the softmax in chunks."""

    chunk_rows: int = Field(512, ge=1)
    """States whose scores are held at once; fewer take less memory and more time."""


class ChunkedCrossEntropy(RankingLoss):
    """The same figures as `cross_entropy`, with the scores of a few states in memory at a time; in float32."""

    name = "chunked_cross_entropy"
    Config = ChunkedCrossEntropyConfig

    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        """Score all items for `chunk_rows` states after `chunk_rows` states."""
        scaled, vectors = (states / self.config.temperature).float(), items.vectors().float()
        return cross_entropy_in_chunks(scaled, vectors, targets, self.config.chunk_rows)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """The scores of one chunk and what the logsumexp of them needs, in float32."""
        rows: int = min(n_states, self.config.chunk_rows)
        return 2 * 4 * rows * n_items
