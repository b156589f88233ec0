"""The simplest parts there are, to test others with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import Encoder, Features, RowLabels
from p5core.contracts.loss import Candidates, Loss, ProbabilityLoss, RankingLoss, ValueLoss
from p5core.contracts.part import NoOptions
from p5core.contracts.task import Task, TaskInfo
from p5core.model.item_embeddings import EntityEmbeddings, ItemEmbeddings
from p5core.model.network import Network
from p5core.testing.world import World

__all__ = [
    "LOSSES",
    "AllMean",
    "FreeVectors",
    "LogisticError",
    "PastMean",
    "Softmax",
    "SquaredError",
    "UserVector",
    "build_network",
]


class FreeVectors(Encoder):
    """A vector for each item or user."""

    name = "free_vectors"
    encodes = ("item", "user")

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.vectors = nn.Embedding(features.n_rows, width)

    def forward(self, codes: Tensor) -> Tensor:
        """Look the vectors up."""
        return cast("Tensor", self.vectors(codes))

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One row an item."""
        return {"vectors.weight": "item"}


class PastMean(Backbone):
    """The mean of the vectors so far."""

    name = "past_mean"
    causal = True

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Sum up and divide."""
        return vectors.cumsum(dim=1) / torch.arange(1, vectors.shape[1] + 1, device=vectors.device)[:, None]


class AllMean(Backbone):
    """The mean of all vectors of the history, added to each."""

    name = "all_mean"
    causal = False

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Sum up and divide, padding left out."""
        kept = vectors * real[..., None]
        return vectors + kept.sum(dim=1, keepdim=True) / real.sum(dim=1).clamp_min(1)[:, None, None]


class UserVector(Backbone):
    """The vector of the user."""

    name = "user_vector"
    causal = True
    uses_history = False

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Return it as it is."""
        return vectors


class Softmax(RankingLoss):
    """The full softmax."""

    name = "softmax"

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Score all candidates."""
        return F.cross_entropy(states @ candidates.vectors().T, targets)


class SquaredError(ValueLoss):
    """The mean squared error."""

    name = "squared_error"

    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Compare."""
        return F.mse_loss(predicted, observed)


class LogisticError(ProbabilityLoss):
    """The binary cross-entropy."""

    name = "logistic_error"

    def __call__(self, logits: Tensor, observed: Tensor) -> Tensor:
        """Compare."""
        return F.binary_cross_entropy_with_logits(logits, observed)


LOSSES: Mapping[str, type[Loss]] = {"ranking": Softmax, "value": SquaredError, "probability": LogisticError}
"""Kind → the simplest loss."""


def build_network(
    backbone: Backbone, world: World, encoder: Encoder | None = None, task: Task | None = None
) -> Network:
    """A network around a backbone, with a free vector for each item unless an encoder is given, and a task's layers."""
    encoder = FreeVectors(NoOptions(), Features(world.n_items), backbone.width) if encoder is None else encoder
    users = None
    if not backbone.uses_history:
        users = EntityEmbeddings([FreeVectors(NoOptions(), Features(world.events.n_users), backbone.width)])
    network = Network(ItemEmbeddings([encoder]), backbone, 0.0, users)
    if task is not None:
        info = TaskInfo(
            backbone.width,
            world.n_items,
            world.events.n_users,
            type(backbone),
            world.events,
            world.catalogue,
            world.users,
        )
        layers = task.layers(info)
        if layers is not None:
            network.add_task(task.name, layers, task.row_labels())
    return network
