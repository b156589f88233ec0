"""Softmax losses over scores that are never all in memory at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["cross_entropy_in_chunks", "rows_at_once"]

CHUNK = 2**20
"""Scores that stay in the caches of a processor."""

CHUNK_ELSEWHERE = 2**27
"""Scores that keep another device busy: 512 MiB in float32."""

MIN_ROWS = 256
"""States that are worth a pass over the vectors."""


def rows_at_once(n_vectors: int, device: str = "cpu") -> int:
    """States whose scores against so many vectors are held at once."""
    return max(MIN_ROWS, (CHUNK if device == "cpu" else CHUNK_ELSEWHERE) // n_vectors)


def cross_entropy_in_chunks(
    states: Tensor, vectors: Tensor, targets: Tensor, corrections: Tensor | None = None
) -> Tensor:
    """() the mean of -log softmax of the target among all vectors, with the scores of few states in memory at a time.

    `states` (N, D), `vectors` (V, D), `targets` (N,) codes of vectors. `corrections` (V,) are added to the scores of
    all but the target; -inf takes a vector out. Products are computed in the type of autocast where it is on, all else
    in float32 at least.
    """
    device = states.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    summed: Callable[..., Tensor] = _SummedCrossEntropy.apply
    with torch.autocast(device, enabled=False):
        return summed(states.to(kind), vectors.to(kind), targets, corrections) / len(targets)


class _SummedCrossEntropy(Function):
    """Gradients are computed beside the loss, while a chunk's scores are at hand, so that no chunk is scored twice.

    With p = softmax(states · vectorsᵀ) - onehot(targets), they are p · vectors and pᵀ · states.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, targets: Tensor, corrections: Tensor | None) -> Tensor:
        chunk_rows = rows_at_once(len(vectors), states.device.type)
        exact = torch.promote_types(states.dtype, torch.float32)
        state_gradient, vector_gradient = torch.empty_like(states), torch.zeros_like(vectors, dtype=exact)
        total = torch.zeros((), dtype=exact, device=states.device)
        for begin in range(0, len(states), chunk_rows):
            rows = slice(begin, begin + chunk_rows)
            scores = states[rows] @ vectors.T  # (C, V)
            places = targets[rows, None]
            if corrections is not None:
                right = scores.gather(1, places).to(exact)
                scores = scores.to(exact).add_(corrections).scatter_(1, places, right)
            p = scores.log_softmax(dim=1, dtype=exact)
            total -= p.gather(1, places).sum()
            p = p.exp_().scatter_add_(1, places, p.new_full(places.shape, -1.0)).to(states.dtype)
            torch.mm(p, vectors, out=state_gradient[rows])
            vector_gradient += p.T @ states[rows]
        ctx.save_for_backward(state_gradient, vector_gradient.to(vectors.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        state_gradient, vector_gradient = ctx.saved_tensors
        return state_gradient * gradient, vector_gradient * gradient, None, None
