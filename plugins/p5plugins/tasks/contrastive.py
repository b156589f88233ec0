"""Contrastive learning of histories."""

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
from p5core.data.batch import Batch, Rows, bucket_by_length, cut_windows
from p5core.data.dataset import Events
from p5core.errors import ConfigError
from p5plugins.tasks.augmentations import Augmentation, augmented
from p5plugins.tasks.in_batch import BatchCandidates

__all__ = ["Contrastive", "ContrastiveConfig"]


class ContrastiveConfig(Config):
    """Options of contrastive learning."""

    augmentations: list[Augmentation] = Field(["crop", "drop", "reorder"], min_length=1)
    """Changes of histories; each view draws one of them."""

    share: Annotated[float, Tunable(0.1, 0.6)] = Field(0.3, gt=0, lt=1)
    """Fraction of a history's items that a change concerns."""

    temperature: Annotated[float, Tunable(0.05, 1, log=True)] = Field(0.1, gt=0, le=100)
    """Temperature of the softmax over the other histories of a batch."""


class Contrastive(Task):
    """Tell the other view of a history from views of other histories (CL4SRec, arXiv 2010.14395).

    Two views of each history are made by random changes. The state after one of them should be nearest, by cosine, to
    the state after the other, among those of all histories in the batch. Beside `next_item`, with a weight of .1 or so.
    """

    name = "contrastive"
    Config = ContrastiveConfig
    default_loss = "cross_entropy"
    metrics = ("hr@10", "ndcg@10")
    config: ContrastiveConfig

    loss_function: RankingLoss

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Refuse backbones without histories, and data without two histories of two events."""
        if not backbone.uses_history:
            raise ConfigError(
                f"Task 'contrastive' needs a backbone that reads histories; '{backbone.name}' is none. Use the task "
                "'next_item' with it."
            )
        if (np.diff(events.offsets) > 1).sum() < 2:
            raise ConfigError("Task 'contrastive' needs two users with two training events or more.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        """Each event lies in one window of two events or more; a batch of one history joins another one."""
        windows = cut_windows(data.events, data.max_length, 0, min_size=2)
        plan = bucket_by_length(windows, max(1, data.token_budget // 2), rng)
        return [rows for rows in plan if len(rows.users) > 1] or plan

    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        """One view of each history as items, the other one beside it."""
        windows = list(zip(rows.starts, rows.stops, strict=True))
        first, lengths = self._views(data.events, windows, rng)
        second, second_lengths = self._views(data.events, windows, rng)
        return Batch(
            users=torch.from_numpy(rows.users.astype(np.int64)),
            items=first,
            lengths=lengths,
            extra={"second": second, "second_lengths": second_lengths},
        )

    def _views(
        self, events: Events, windows: Sequence[tuple[int, int]], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """(B, T) items of one view of each window, right-padded, and their lengths (B,)."""
        names = [
            self.config.augmentations[nth] for nth in rng.integers(len(self.config.augmentations), size=len(windows))
        ]
        views = [
            events.items[augmented(events, np.arange(start, stop), name, self.config.share, rng)]
            for (start, stop), name in zip(windows, names, strict=True)
        ]
        lengths = np.array([len(view) for view in views])
        items = np.zeros((len(views), lengths.max()), dtype=np.int64)
        for row, view in zip(items, views, strict=True):
            row[: len(view)] = view
        return torch.from_numpy(items), torch.from_numpy(lengths)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The ranking loss of finding the other view of each history, both ways."""
        views = (
            network.last_states(batch.users, batch.items, batch.lengths),
            network.last_states(batch.users, batch.extra["second"], batch.extra["second_lengths"]),
        )
        first, second = (F.normalize(states.float(), dim=-1) for states in views)
        places = torch.arange(len(first), device=first.device)
        losses = [
            self.loss_function(states / self.config.temperature, places, BatchCandidates(others))
            for states, others in ((first, second), (second, first))
        ]
        return torch.stack(losses).mean()
