"""What is read from a state besides item scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RatingHead"]


class RatingHead(nn.Module):
    """Mean rating + bias of the user + bias of the item + state · item vector (Koren et al., Computer 42(8), 2009)."""

    mean: Tensor

    def __init__(self, n_users: int, n_items: int, mean: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, affinity: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Ratings (N,) from `affinity` = state · vector (N,), user codes (N,), -1 unknown, and item codes (N,)."""
        user_bias = self.user_bias(users.clamp_min(0)).squeeze(-1) * (users >= 0)
        rating: Tensor = self.mean + user_bias + self.item_bias(items).squeeze(-1) + affinity
        return rating
