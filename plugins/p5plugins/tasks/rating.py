"""Rating prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5core.contracts.loss import RatingLoss
from p5core.contracts.task import Task, TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows
from p5core.data.dataset import Events
from p5core.errors import ConfigError
from p5core.model.network import Network
from p5plugins.tasks.following import following_batch, following_plan

__all__ = ["RatingPrediction"]


class RatingPrediction(Task):
    """Predict explicit ratings: mean + user bias + item bias + state · item (Koren et al., Computer 42(8), 2009).

    With `mf`, state and bias are the user's own; with any other backbone both are what the history tells.
    """

    name = "rating"
    loss_kind = "rating"
    metrics = ("mae", "rmse")

    loss_function: RatingLoss

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Ratings are needed, and two events of somebody where a history is read."""
        if events.ratings is None:
            raise ConfigError("Task 'rating' needs ratings, and this data has none. Name the column in [data].")
        if backbone.uses_history and not (np.diff(events.offsets) > 1).any():
            raise ConfigError("Task 'rating' needs a user with two training events or more; there is none.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        """The windows of next-item prediction."""
        return following_plan(data, rng)

    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        """Histories with the following items and their ratings."""
        return following_batch(data, rows, rng)

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The rating loss over all targets of the batch."""
        if batch.ratings is None:
            raise ValueError("The batch holds no ratings.")
        wanted = batch.targets != NO_TARGET
        users = batch.users[:, None].expand_as(batch.targets)[wanted]
        predicted = network.ratings(network.states(batch)[wanted], users, batch.targets[wanted])
        return self.loss_function(predicted, batch.ratings[wanted])
