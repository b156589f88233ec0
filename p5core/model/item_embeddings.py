"""The item table: input embedding and output head at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.encoder import Encoder

__all__ = ["ItemTable"]


class ItemTable(nn.Module):
    """Combines the vectors of one or several encoders; the score of an item is `state · vector`."""

    counts: Tensor
    """(V,) training events of each item, float32; kept with the weights, since popularity answers empty histories."""

    def __init__(self, encoders: Sequence[Encoder], combine: Literal["sum", "gated"], unit: bool = False) -> None:
        """`unit` scales all vectors to length 1."""
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.gate = nn.Linear(encoders[0].width, 1) if combine == "gated" and len(encoders) > 1 else None
        self.unit = unit
        self.register_buffer("counts", torch.zeros(encoders[0].n_items))

    @property
    def n_items(self) -> int:
        """Size of the catalogue, V."""
        return len(self.counts)

    @property
    def log_frequency(self) -> Tensor:
        """(V,) log of each item's share of the training events, with one event added to each (Laplace)."""
        smoothed = self.counts + 1
        return torch.log(smoothed / smoothed.sum())

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        """(N, D) vectors of the items `codes` (N,), or (V, D) of all."""
        if codes is None:
            codes = torch.arange(self.n_items, device=self.counts.device)
        found = self._combined(codes)
        return F.normalize(found, dim=-1) if self.unit else found

    def _combined(self, codes: Tensor) -> Tensor:
        parts = [encoder(codes) for encoder in self.encoders]
        if len(parts) == 1:
            return cast(Tensor, parts[0])
        stacked = torch.stack(parts, dim=1)  # (N, E, D), E encoders
        if self.gate is None:
            return stacked.sum(dim=1)
        weights = torch.softmax(self.gate(stacked), dim=1)  # (N, E, 1)
        return (weights * stacked).sum(dim=1)

    def row_labels(self) -> dict[str, Sequence[str]]:
        """State-dict name → row labels of everything that grows with the catalogue, the counts left out."""
        return {
            f"encoders.{index}.{name}": labels
            for index, encoder in enumerate(self.encoders)
            for name, labels in cast(Encoder, encoder).row_labels().items()
        }
