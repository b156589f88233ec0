"""Masked-item prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from p5core.config.base import Tunable
from p5core.contracts.backbone import Backbone
from p5core.contracts.loss import RankingLoss
from p5core.contracts.task import Task, TaskNetwork, TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows, bucket_by_length, cut_windows, gather_padded
from p5core.data.dataset import Events
from p5core.data.following import padded_weights
from p5core.errors import ConfigError
from p5plugins.tasks.augmentations import AugmentedConfig, plan_changed, planned

__all__ = ["MaskedItem", "MaskedItemConfig"]


class MaskedItemConfig(AugmentedConfig):
    """Options of masked-item prediction."""

    share: Annotated[float, Tunable(0.1, 0.6)] = Field(0.3, gt=0, lt=1)
    """Average fraction of a history's items that is masked; at least one."""

    last_share: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, le=1)
    """Fraction of histories in which only the last item is masked, as in serving."""


class MaskedItem(Task):
    """Predict masked items from both sides (BERT4Rec, arXiv 1904.06690).

    A causal backbone finds each from what is left before it: its state at the place before predicts the hidden item.
    """

    name = "masked_item"
    Config = MaskedItemConfig
    metrics = ("hr@10", "ndcg@10")
    config: MaskedItemConfig

    loss_function: RankingLoss

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """A user's vector holds no items that could be hidden."""
        if not backbone.uses_history:
            raise ConfigError(
                f"Task 'masked_item' needs a backbone that reads histories; '{backbone.name}' is none. "
                "Use the task 'next_item' with it."
            )
        if not (np.diff(events.offsets) > 1).any():
            raise ConfigError("Task 'masked_item' needs a user with two training events or more; there is none.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        """Each event lies in one window of histories that may be changed; windows of one event are left out."""
        return plan_changed(self.config, data, rng, _windows)

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        """Histories with some items hidden, which are the targets."""
        data, rows = planned(data, rows)
        items = gather_padded(data.events.items, rows.starts, rows.lengths)  # (B, T)
        masked = self._masked(rng, rows.lengths, items.shape[1], first=1 if data.backbone.causal else 0)
        targets = np.where(masked, items, NO_TARGET)
        weights = padded_weights(data.events, rows.starts, rows.lengths)
        if data.backbone.causal:
            targets = np.pad(targets[:, 1:], ((0, 0), (0, 1)), constant_values=NO_TARGET)
            weights = None if weights is None else weights.roll(-1, 1)
        return Batch(
            users=torch.from_numpy(rows.users.astype(np.int64)),
            items=torch.from_numpy(items.astype(np.int64)),
            lengths=torch.from_numpy(rows.lengths),
            targets=torch.from_numpy(targets.astype(np.int64)),
            masked=torch.from_numpy(masked),
            target_weights=weights,
        )

    def _masked(
        self, rng: np.random.Generator, lengths: npt.NDArray[np.int64], width: int, first: int
    ) -> npt.NDArray[np.bool_]:
        """(B, T) bool, from the place `first` on; one of each history for certain, in case the share draws none."""
        places = np.arange(width)
        within = (places >= first) & (places < lengths[:, None])
        drawn = (rng.random((len(lengths), width)) < self.config.share) & within
        certain = places == rng.integers(first, lengths)[:, None]
        drawn |= certain & ~drawn.any(axis=1, keepdims=True)
        only_last = rng.random(len(lengths)) < self.config.last_share
        return np.where(only_last[:, None], places == lengths[:, None] - 1, drawn)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The ranking loss over all hidden items of the batch."""
        assert batch.targets is not None
        chosen = batch.target_places()
        return self.loss_function.within_domains(network.states(batch)[chosen], batch.targets[chosen], network.items)


def _windows(data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
    """Windows of two events or more, none of which share an event."""
    return bucket_by_length(cut_windows(data.events, data.max_length, 0, min_size=2), data.token_budget, rng)
