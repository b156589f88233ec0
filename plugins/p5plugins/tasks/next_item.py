"""Next-item prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5core.contracts.loss import RankingLoss
from p5core.contracts.task import Task, TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows
from p5core.data.dataset import Events
from p5core.errors import ConfigError
from p5core.model.network import Network
from p5plugins.tasks.following import following_batch, following_plan

__all__ = ["NextItem"]


class NextItem(Task):
    """Find the item that follows each prefix of a history (SASRec, arXiv 1808.09781).

    A bidirectional backbone is asked for one item a window and epoch, through a mask at the end; a backbone without
    history is asked for every item of its user.
    """

    name = "next_item"

    loss_function: RankingLoss

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Every backbone suits, as long as somebody has two events."""
        if backbone.uses_history and not (np.diff(events.offsets) > 1).any():
            raise ConfigError("Task 'next_item' needs a user with two training events or more; there is none.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        """Each event but a user's first is a target of one window."""
        return following_plan(data, rng)

    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        """Histories with the following items as targets."""
        return following_batch(data, rows, rng)

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The ranking loss over all targets of the batch."""
        wanted = batch.targets != NO_TARGET
        return self.loss_function(network.states(batch)[wanted], batch.targets[wanted], network.table)
