"""Windows over histories, length buckets, and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.data.dataset import Events

__all__ = ["NO_TARGET", "Batch", "Rows", "Windows", "bucket_by_length", "cut_windows", "gather_padded"]

NO_TARGET = -1
"""Marks a position of `Batch.targets` where nothing is to be predicted."""


@dataclass(frozen=True, eq=False)
class Windows:
    """W slices `starts[i]:stops[i]` of the event arrays, none across users."""

    users: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(W,) events in each window."""
        return self.stops - self.starts


Rows = Windows
"""The windows of one batch."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B histories of at most T items, right-padded, and what a task needs beside them."""

    users: Tensor
    """(B,) int64 user codes"""

    items: Tensor
    """(B, T) int64 item codes; any code at padding and at masked positions"""

    lengths: Tensor
    """(B,) int64 real positions, masked ones included"""

    targets: Tensor | None = None
    """(B, T) int64 item code that the state at this position should find, or NO_TARGET"""

    masked: Tensor | None = None
    """(B, T) bool, True where the item is hidden from the backbone"""

    extra: Mapping[str, Tensor] = field(default_factory=dict)
    """name → tensor of the task's own, of any shape"""

    target_weights: Tensor | None = None
    """(B, T) float32 weights of the events that are targets, above 0; None: they count alike"""

    weight: int | None = None
    """weight of the batch among those whose gradients are added up; None counts the targets, or the histories"""

    @property
    def n_targets(self) -> int:
        """Weight of the batch; 1 at least."""
        if self.weight is not None:
            return max(1, self.weight)
        return max(1, len(self.users) if self.targets is None else int((self.targets != NO_TARGET).sum()))

    @property
    def real(self) -> Tensor:
        """(B, T) bool, False at padding."""
        return torch.arange(self.items.shape[1], device=self.items.device) < self.lengths[:, None]

    def target_places(self) -> tuple[Tensor, Tensor]:
        """(N,) rows and (N,) columns of the N targets.

        Where they have weights, they are N draws in proportion to those (systematic resampling: Kitagawa 1996,
        doi 10.1080/10618600.1996.10474692), so that the mean of any loss over them is the weighted mean in expectation.
        """
        assert self.targets is not None
        rows, columns = (self.targets != NO_TARGET).nonzero(as_tuple=True)
        if self.target_weights is None or len(rows) == 0:
            return rows, columns
        sums = self.target_weights[rows, columns].cumsum(0, dtype=torch.float64)
        steps = torch.arange(len(rows), device=sums.device) + torch.rand(1, dtype=sums.dtype, device=sums.device)
        drawn = torch.searchsorted(sums, steps * (sums[-1] / len(rows))).clamp(max=len(rows) - 1)
        return rows[drawn], columns[drawn]

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same batch with a function applied to every tensor."""
        changed: dict[str, Any] = {
            key: function(value) for key, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **changed, extra={name: function(value) for name, value in self.extra.items()})

    def to(self, device: torch.device) -> Self:
        """The same batch on a device; copies from pinned memory do not block."""
        return self.map(lambda one: one.to(device, non_blocking=True))


def cut_windows(events: Events, size: int, overlap: int, min_size: int) -> Windows:
    """Cut each history into windows of at most `size` events, newest first, that share `overlap` events.

    With `overlap` 1 each event but a user's first is the target of exactly one window of a next-item task.
    Windows below `min_size` events are left out.
    """
    lengths = np.diff(events.offsets)
    step = size - overlap
    counts = np.maximum(1, -(-(lengths - overlap) // step))
    users = np.repeat(np.arange(events.n_users, dtype=np.int32), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    stops = events.offsets[1:][users] - nth * step
    starts = np.maximum(events.offsets[:-1][users], stops - size)
    keep = stops - starts >= min_size
    return Windows(users[keep], starts[keep], stops[keep])


def bucket_by_length(windows: Windows, token_budget: int, rng: np.random.Generator) -> list[Rows]:
    """Group windows of similar length so that rows × longest stays within the budget; shuffled, one row at least."""
    order = np.lexsort((rng.random(len(windows.users)), -windows.lengths))
    lengths = windows.lengths[order]
    batches, begin = [], 0
    while begin < len(order):
        end = begin + max(1, token_budget // int(lengths[begin]))
        batches.append(order[begin:end])
        begin = end
    shuffled = [batches[index] for index in rng.permutation(len(batches))]
    return [Windows(windows.users[rows], windows.starts[rows], windows.stops[rows]) for rows in shuffled]


def gather_padded(
    values: npt.NDArray[np.generic], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], fill: float = 0
) -> npt.NDArray[np.generic]:
    """(B, T) slices of `values` from `starts` (B,), right-padded with `fill` to the longest of `lengths` (B,)."""
    width = max(1, int(lengths.max(initial=0)))
    if not len(values):
        return np.full((len(starts), width), fill, dtype=values.dtype)
    places = np.arange(width)
    index = np.minimum(starts[:, None] + places, len(values) - 1)
    return np.where(places < lengths[:, None], values[index], np.asarray(fill, dtype=values.dtype))
