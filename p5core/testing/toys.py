"""The simplest parts there are, to test others with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import Encoder
from p5core.contracts.loss import ItemScorer, RankingLoss, RatingLoss
from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.model.item_embeddings import ItemTable
from p5core.model.network import Labels, Network
from p5core.testing.world import World

__all__ = ["AllMean", "FreeVectors", "PastMean", "Softmax", "SquaredError", "UserVector", "build_network"]


class FreeVectors(Encoder):
    """A vector for each item."""

    name = "free_vectors"

    def __init__(self, config: Any, catalogue: Catalogue, width: int) -> None:
        super().__init__(config, catalogue, width)
        self.vectors = nn.Embedding(self.n_items, width)
        self._labels = catalogue.labels

    def forward(self, codes: Tensor) -> Tensor:
        """Look the vectors up."""
        return cast("Tensor", self.vectors(codes))

    def row_labels(self) -> Mapping[str, Sequence[str]]:
        """One row an item."""
        return {"vectors.weight": self._labels}


class PastMean(Backbone):
    """The mean of the vectors so far."""

    name = "past_mean"
    causal = True

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Sum up and divide."""
        return vectors.cumsum(dim=1) / torch.arange(1, vectors.shape[1] + 1)[:, None]


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

    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        """Score all items."""
        return F.cross_entropy(states @ items.vectors().T, targets)


class SquaredError(RatingLoss):
    """The mean squared error."""

    name = "squared_error"

    def __call__(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Compare."""
        return F.mse_loss(predicted, observed)


def build_network(
    backbone: Backbone, world: World, encoder: Encoder | None = None, rating_mean: float | None = None
) -> Network:
    """A network around a backbone, with a free vector for each item unless an encoder is given."""
    encoder = FreeVectors(NoOptions(), world.catalogue, backbone.width) if encoder is None else encoder
    labels = Labels([f"user {code}" for code in range(world.events.n_users)], world.catalogue.labels)
    return Network(ItemTable([encoder], "sum"), backbone, labels, 0.0, rating_mean)
