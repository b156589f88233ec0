"""What is read from a state besides item scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RatingHead"]


class RatingHead(nn.Module):
    """Mean rating + bias of the user + bias of the item + state · item vector (Koren et al., Computer 42(8), 2009).

    Where users have vectors, each has a bias of its own; where histories are read, the bias is read from the state, so
    that people whom the model has not met have one as well.
    """

    mean: Tensor

    def __init__(self, n_users: int | None, n_items: int, width: int, mean: float) -> None:
        """`n_users` are those with biases of their own; None reads the bias from states of `width` D."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.user_bias = None if n_users is None else nn.Embedding(n_users, 1)
        self.state_bias = nn.Linear(width, 1, bias=False) if n_users is None else None
        self.item_bias = nn.Embedding(n_items, 1)
        for part in (self.user_bias, self.state_bias, self.item_bias):
            if part is not None:
                nn.init.zeros_(part.weight)

    def forward(self, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Ratings (N,) from states (N, D), item vectors (N, D), user codes (N,), -1 unknown, and item codes (N,)."""
        affinity = (states * vectors).sum(dim=-1)
        if self.user_bias is not None:
            own = self.user_bias(users.clamp_min(0)).squeeze(-1) * (users >= 0)
        else:
            assert self.state_bias is not None
            own = self.state_bias(states).squeeze(-1)
        rating: Tensor = self.mean + own + self.item_bias(items).squeeze(-1) + affinity
        return rating
