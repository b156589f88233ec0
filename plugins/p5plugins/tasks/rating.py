"""Rating prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from p5core.contracts.encoder import RowLabels
from p5core.contracts.loss import ValueLoss
from p5core.contracts.task import FollowingTask, Output, TaskInfo, TaskNetwork
from p5core.data.batch import Batch
from p5core.data.columns import RATING

__all__ = ["RatingHead", "RatingPrediction"]


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
        """(N,) ratings from states (N, D), item vectors (N, D), user codes (N,) and item codes (N,), -1 unknown."""
        affinity = (states * vectors).sum(dim=-1)
        if self.user_bias is not None:
            own = self.user_bias(users.clamp_min(0)).squeeze(-1) * (users >= 0)
        else:
            assert self.state_bias is not None
            own = self.state_bias(states).squeeze(-1)
        of_item = self.item_bias(items.clamp_min(0)).squeeze(-1) * (items >= 0)
        rating: Tensor = self.mean + own + of_item + affinity
        return rating


class RatingPrediction(FollowingTask):
    """Predict explicit ratings: mean + user bias + item bias + state · item (Koren et al., Computer 42(8), 2009).

    With `mf`, state and bias are the user's own; with any other backbone both are what the history tells.
    """

    name = "rating"
    loss_kind = "value"
    outputs: ClassVar[Mapping[str, Output]] = {"scores": Output("ranking"), "ratings": Output("value", RATING)}
    metrics = ("mae", "rmse")
    fields = (RATING,)

    loss_function: ValueLoss

    def layers(self, info: TaskInfo) -> nn.Module:
        """Biases and the mean rating."""
        mean = float(info.events.fields[RATING].mean()) if RATING in info.events.fields else 0.0
        return RatingHead(None if info.backbone.uses_history else info.n_users, info.n_items, info.width, mean)

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One bias an item, and one a user where users have biases of their own."""
        return {"item_bias.weight": "item", "user_bias.weight": "user"}

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The loss of the predicted ratings of all targets."""
        targets = self.targets(network, batch)
        layers, vectors = network.task_layers[self.name], network.items.vectors(targets.items)
        predicted = self.predict(layers, "ratings", targets.states, vectors, targets.users, targets.items)
        return self.loss_function(predicted, targets.fields[RATING])
