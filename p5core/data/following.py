"""Batches in which each state predicts the event that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.data.batch import NO_TARGET, Batch, Windows, bucket_by_length, cut_windows, gather_padded
from p5core.data.columns import WEIGHT
from p5core.data.dataset import Events

__all__ = ["following_batch", "following_plan", "padded_weights"]


def following_plan(
    events: Events, uses_history: bool, max_length: int, token_budget: int, rng: np.random.Generator
) -> Sequence[Windows]:
    """Windows in which every event but a user's first is a target once; every event where users have vectors."""
    if uses_history:
        windows = cut_windows(events, max_length + 1, overlap=1, min_size=2)
    else:
        windows = cut_windows(events, max_length, overlap=0, min_size=1)
    return bucket_by_length(windows, token_budget, rng)


def following_batch(
    events: Events, causal: bool, uses_history: bool, fields: Sequence[str], rows: Windows, rng: np.random.Generator
) -> Batch:
    """Fill a batch the way the backbone reads: causal, bidirectional with a mask at the end, or by user."""
    if not uses_history:
        return _batch(events, fields, rows, rows.starts, rows.starts, rows.lengths)
    if causal:
        return _batch(events, fields, rows, rows.starts, rows.starts + 1, rows.lengths - 1)
    return _masked_end(events, fields, rows, rng)


def _batch(
    events: Events,
    fields: Sequence[str],
    rows: Windows,
    starts: npt.NDArray[np.int64],
    target_starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> Batch:
    return Batch(
        users=_tensor(rows.users.astype(np.int64)),
        items=_tensor(gather_padded(events.items, starts, lengths).astype(np.int64)),
        lengths=_tensor(lengths),
        targets=_tensor(gather_padded(events.items, target_starts, lengths, NO_TARGET).astype(np.int64)),
        extra={name: _tensor(gather_padded(events.fields[name], target_starts, lengths)) for name in fields},
        target_weights=padded_weights(events, target_starts, lengths),
    )


def padded_weights(events: Events, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Tensor | None:
    """(B, T) float32 weights of the events from `starts` (B,) on, right-padded; None where all count alike."""
    if WEIGHT not in events.fields:
        return None
    return _tensor(gather_padded(events.fields[WEIGHT].astype(np.float32, copy=False), starts, lengths))


def _masked_end(events: Events, fields: Sequence[str], rows: Windows, rng: np.random.Generator) -> Batch:
    """Cut each window at a random event, which is hidden and is the only target."""
    cuts = rng.integers(1, rows.lengths)
    whole = _batch(events, fields, rows, rows.starts, rows.starts, cuts + 1)
    assert whole.targets is not None
    masked = torch.arange(whole.items.shape[1]) == _tensor(cuts)[:, None]
    return replace(whole, targets=torch.where(masked, whole.targets, NO_TARGET), masked=masked)


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
