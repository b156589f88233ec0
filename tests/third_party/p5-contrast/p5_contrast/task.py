"""Two cropped views of each history that should find each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from p5core import (
    Backbone,
    Batch,
    Config,
    ConfigError,
    Events,
    Task,
    TaskInfo,
    TaskNetwork,
    TrainingData,
    bucket_by_length,
    cut_windows,
    gather_padded,
)

__all__ = ["Contrast", "ContrastConfig"]


class ContrastConfig(Config):
    """Options of the contrastive task."""

    temperature: float = Field(0.5, gt=0)
    """Temperature of the softmax over the other histories of a batch."""

    keep: float = Field(0.6, gt=0, le=1)
    """Fraction of a history that a view keeps."""


class Contrast(Task):
    """Contrastive learning of histories by two cropped views (CL4SRec, arXiv 2010.14395)."""

    name = "contrast"
    Config = ContrastConfig
    config: ContrastConfig
    metrics = ("ndcg@10",)

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        if not backbone.uses_history:
            raise ConfigError(f"Task '{cls.name}' needs a backbone that reads histories; '{backbone.name}' does not.")

    def layers(self, info: TaskInfo) -> nn.Module:
        return nn.Sequential(nn.Linear(info.width, info.width), nn.ReLU(), nn.Linear(info.width, info.width))

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        return bucket_by_length(cut_windows(data.events, data.max_length, 0, 2), data.token_budget, rng)

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        items = torch.from_numpy(gather_padded(data.events.items, rows.starts, rows.lengths).astype(np.int64))
        extra = {}
        for view in ("first", "second"):
            lengths = np.maximum(1, np.round(self.config.keep * rows.lengths)).astype(np.int64)
            starts = rows.starts + rng.integers(0, rows.lengths - lengths + 1)
            extra[view] = torch.from_numpy(gather_padded(data.events.items, starts, lengths).astype(np.int64))
            extra[f"{view}_lengths"] = torch.from_numpy(lengths)
        users = torch.from_numpy(rows.users.astype(np.int64))
        return Batch(users, items, torch.from_numpy(rows.lengths), extra=extra)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        views = []
        for view in ("first", "second"):
            states = network.last_states(batch.users, batch.extra[view], batch.extra[f"{view}_lengths"])
            views.append(F.normalize(network.task_layers[self.name](states), dim=-1))
        logits = views[0] @ views[1].T / self.config.temperature
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
