"""Next-item prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from p5core.contracts.loss import RankingLoss
from p5core.contracts.task import FollowingTask, TaskNetwork, TrainingData
from p5core.data.batch import Batch
from p5plugins.tasks.augmentations import AugmentedConfig, plan_changed, planned

__all__ = ["NextItem"]


class NextItem(FollowingTask):
    """Predict the next item after each prefix of a history (SASRec, arXiv 1808.09781).

    A bidirectional backbone is asked for one item a window and epoch, through a mask at the end; a backbone without
    history is asked for every item of its user.
    """

    name = "next_item"
    Config = AugmentedConfig
    config: AugmentedConfig
    metrics = ("hr@10", "ndcg@10")
    is_default = True

    loss_function: RankingLoss

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        """Each event but a user's first is a target of one window, in histories that may be changed."""
        return plan_changed(self.config, data, rng, super().plan)

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        """Histories with the following items as targets."""
        return super().batch(*planned(data, rows), rng)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The ranking loss over all targets of the batch."""
        targets = self.targets(network, batch)
        return self.loss_function.within_domains(targets.states, targets.items, network.items)
