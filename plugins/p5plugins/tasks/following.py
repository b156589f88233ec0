"""Batches in which each state predicts the event that follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.task import TrainingData
from p5core.data.batch import NO_TARGET, Batch, Rows, bucket_by_length, cut_windows, gather_padded

__all__ = ["following_batch", "following_plan"]


def following_plan(data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
    """Windows in which every event but a user's first is a target once; every event where users have vectors."""
    if data.backbone.uses_history:
        windows = cut_windows(data.events, data.max_length + 1, overlap=1, min_size=2)
    else:
        windows = cut_windows(data.events, data.max_length, overlap=0, min_size=1)
    return bucket_by_length(windows, data.token_budget, rng)


def following_batch(data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
    """Fill a batch the way the backbone reads: causal, bidirectional with a mask at the end, or by user."""
    if not data.backbone.uses_history:
        return _batch(data, rows, rows.starts, rows.starts, rows.lengths)
    if data.backbone.causal:
        return _batch(data, rows, rows.starts, rows.starts + 1, rows.lengths - 1)
    return _masked_end(data, rows, rng)


def _batch(
    data: TrainingData,
    rows: Rows,
    starts: npt.NDArray[np.int64],
    target_starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> Batch:
    ratings = data.events.ratings
    return Batch(
        users=_tensor(rows.users.astype(np.int64)),
        items=_tensor(gather_padded(data.events.items, starts, lengths).astype(np.int64)),
        lengths=_tensor(lengths),
        targets=_tensor(gather_padded(data.events.items, target_starts, lengths, NO_TARGET).astype(np.int64)),
        ratings=None if ratings is None else _tensor(gather_padded(ratings, target_starts, lengths)),
    )


def _masked_end(data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
    """Cut each window at a random event, which is hidden and is the only target."""
    cuts = rng.integers(1, rows.lengths)
    whole = _batch(data, rows, rows.starts, rows.starts, cuts + 1)
    masked = torch.arange(whole.items.shape[1]) == _tensor(cuts)[:, None]
    targets = torch.where(masked, whole.targets, NO_TARGET)
    return Batch(whole.users, whole.items, whole.lengths, targets, masked, whole.ratings)


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
