"""The full softmax over the catalogue, at once and in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from p5core.parts.loss import ItemScorer, RankingLoss
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
        summed: Callable[..., Tensor] = _SummedCrossEntropy.apply
        with torch.autocast(states.device.type, enabled=False):
            return summed(scaled, vectors, targets, self.config.chunk_rows) / len(targets)

    def score_bytes(self, n_states: int, n_items: int) -> int:
        """The scores of one chunk and what the logsumexp of them needs, in float32."""
        rows: int = min(n_states, self.config.chunk_rows)
        return 2 * 4 * rows * n_items


class _SummedCrossEntropy(Function):
    """Gradients are computed beside the loss, while a chunk's scores are at hand, so that no chunk is scored twice.

    With p = softmax(states · vectorsᵀ) - onehot(targets), they are p · vectors and pᵀ · states.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, targets: Tensor, chunk_rows: int) -> Tensor:
        state_gradient, vector_gradient = torch.empty_like(states), torch.zeros_like(vectors)
        total = states.new_zeros(())
        for begin in range(0, len(states), chunk_rows):
            rows = slice(begin, begin + chunk_rows)
            scores = states[rows] @ vectors.T  # (C, V)
            norms = scores.logsumexp(dim=1, keepdim=True)
            places = targets[rows, None]
            total += (norms - scores.gather(1, places)).sum()
            p = scores.sub_(norms).exp_()
            p.scatter_add_(1, places, -torch.ones_like(norms))
            torch.mm(p, vectors, out=state_gradient[rows])
            vector_gradient.addmm_(p.T, states[rows])
        ctx.save_for_backward(state_gradient, vector_gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        state_gradient, vector_gradient = ctx.saved_tensors
        return state_gradient * gradient, vector_gradient * gradient, None, None
