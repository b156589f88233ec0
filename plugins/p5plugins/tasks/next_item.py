"""Next-item prediction."""

from __future__ import annotations

from torch import Tensor

from p5core.contracts.loss import RankingLoss
from p5core.contracts.task import FollowingTask, TaskNetwork
from p5core.data.batch import Batch

__all__ = ["NextItem"]


class NextItem(FollowingTask):
    """Predict the next item after each prefix of a history (SASRec, arXiv 1808.09781).

    A bidirectional backbone is asked for one item a window and epoch, through a mask at the end; a backbone without
    history is asked for every item of its user.
    """

    name = "next_item"
    metrics = ("hr@10", "ndcg@10")
    is_default = True

    loss_function: RankingLoss

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The ranking loss over all targets of the batch."""
        targets = self.targets(network, batch)
        return self.loss_function.within_domains(targets.states, targets.items, network.items)
