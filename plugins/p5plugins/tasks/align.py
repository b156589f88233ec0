"""Alignment of what items are with what is had together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.contracts.loss import RankingLoss
from p5core.contracts.task import Task, TaskNetwork, TrainingData
from p5core.data.batch import Batch, Rows, bucket_by_length, cut_windows, gather_padded
from p5core.data.dataset import Events
from p5core.errors import ConfigError
from p5plugins.tasks.in_batch import BatchCandidates

__all__ = ["Align", "AlignConfig"]


class AlignConfig(Config):
    """Options of alignment."""

    window: int = Field(5, ge=1, le=100_000)
    """Largest distance between two events of a user that are a pair."""

    temperature: Annotated[float, Tunable(0.05, 1, log=True)] = Field(0.1, gt=0, le=100)
    """Temperature of the softmax over the other items of a batch."""


class Align(Task):
    """Learn item vectors whose similarity predicts what is had together; the backbone is not trained.

    Each event is paired with another one of its user within a window. The vector of the one item should be nearest, by
    cosine, to that of the other, among those of all pairs in the batch (InfoNCE, arXiv 1807.03748). With encoders of
    content it is a metric for catalogues that have not been seen.
    """

    name = "align"
    Config = AlignConfig
    default_loss = "cross_entropy"
    metrics = ("hr@10", "ndcg@10")
    config: AlignConfig

    loss_function: RankingLoss

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Refuse data without two users of two events."""
        if (np.diff(events.offsets) > 1).sum() < 2:
            raise ConfigError("Task 'align' needs two users with two training events or more.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        """Each event lies in one window of two events or more."""
        return bucket_by_length(cut_windows(data.events, data.max_length, 0, min_size=2), data.token_budget, rng)

    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        """One pair for each event: the item and another one, of places at most `window` apart."""
        items = gather_padded(data.events.items, rows.starts, rows.lengths).astype(np.int64)  # (B, T)
        line, place = np.nonzero(np.arange(items.shape[1]) < rows.lengths[:, None])
        low = np.maximum(place - self.config.window, 0)
        high = np.minimum(place + self.config.window, rows.lengths[line] - 1)
        other = rng.integers(low, high)  # one place fewer: the item's own is left out
        other += other >= place
        return Batch(
            users=torch.from_numpy(rows.users.astype(np.int64)),
            items=torch.from_numpy(items),
            lengths=torch.from_numpy(rows.lengths),
            extra={
                "first": torch.from_numpy(items[line, place]),
                "second": torch.from_numpy(items[line, other]),
            },
            weight=len(line),
        )

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The ranking loss of finding the other item of each pair, among the second items of all pairs."""
        first, second = (
            F.normalize(network.items.vectors(batch.extra[name]).float(), dim=-1) for name in ("first", "second")
        )
        codes, places = torch.unique(batch.extra["second"], return_inverse=True)
        row = torch.zeros_like(codes).scatter_(0, places, torch.arange(len(places), device=places.device))
        return self.loss_function(first / self.config.temperature, places, BatchCandidates(second[row]))
