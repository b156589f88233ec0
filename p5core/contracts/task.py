"""The contract of training tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5core.contracts.loss import Loss
from p5core.contracts.part import Part
from p5core.data.batch import Batch, Rows
from p5core.data.dataset import Events
from p5core.model.network import Network

__all__ = ["Task", "TrainingData"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a task draws its batches from."""

    events: Events
    backbone: type[Backbone]
    """what will read the batches: they differ for causal, bidirectional and user-vector backbones"""

    max_length: int
    """history items that the backbone reads at most"""

    token_budget: int
    """positions of one batch, padding included"""


class Task(Part, ABC):
    """What is learnt: it owns its batches and its loss.

    `plan` cuts an epoch into batches and `batch` fills one of them. Both are functions of their generator alone, so
    that a stopped run goes on in the middle of an epoch exactly as if it had not been stopped.
    """

    loss_kind: ClassVar[Literal["ranking", "rating"]] = "ranking"
    """Which losses suit."""

    metrics: ClassVar[tuple[str, ...]] = ("hr@10", "ndcg@10")
    """What is measured when an experiment names no metrics; the last one steers early stopping."""

    def __init__(self, config: Any, loss: Loss) -> None:
        super().__init__(config)
        self.loss_function = loss

    @classmethod
    @abstractmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Raise ConfigError when this task makes no sense with the backbone or the data."""

    @abstractmethod
    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        """Cut one epoch into batches, in random order."""

    @abstractmethod
    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        """Fill one batch of the plan."""

    @abstractmethod
    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Mean loss of a batch, a scalar."""
