"""Vectors of items and users: the input of the backbone and, for items, the output head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.encoder import Encoder, RowLabels
from p5core.contracts.loss import Candidates

__all__ = ["EntityEmbeddings", "ItemEmbeddings"]


class EntityEmbeddings(nn.Module):
    """Combines the vectors of one or several encoders of the same entities."""

    def __init__(
        self, encoders: Sequence[Encoder], combine: Literal["sum", "gated"] = "sum", unit: bool = False
    ) -> None:
        """`unit` scales all vectors to length 1."""
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.gate = nn.Linear(encoders[0].width, 1) if combine == "gated" and len(encoders) > 1 else None
        self.unit = unit
        self.n_rows = encoders[0].n_rows

    def encode(self, codes: Tensor) -> Tensor:
        """(N, D) vectors of the entities `codes` (N,)."""
        combined = self._combined(codes)
        return F.normalize(combined, dim=-1) if self.unit else combined

    def _combined(self, codes: Tensor) -> Tensor:
        parts = [encoder(codes) for encoder in self.encoders]
        if len(parts) == 1:
            return cast(Tensor, parts[0])
        stacked = torch.stack(parts, dim=1)  # (N, E, D), E encoders
        if self.gate is None:
            return stacked.sum(dim=1)
        weights = torch.softmax(self.gate(stacked), dim=1)  # (N, E, 1)
        return (weights * stacked).sum(dim=1)

    def row_labels(self) -> dict[str, RowLabels]:
        """State-dict name → row labels of everything that grows with the data."""
        return {
            f"encoders.{index}.{name}": labels
            for index, encoder in enumerate(self.encoders)
            for name, labels in cast(Encoder, encoder).row_labels().items()
        }


class ItemEmbeddings(EntityEmbeddings):
    """Item vectors; the score of an item is `state · vector`."""

    counts: Tensor
    """(V,) training events of each item, float32; kept with the weights, since popularity answers empty histories."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        combine: Literal["sum", "gated"] = "sum",
        unit: bool = False,
        domain_codes: npt.NDArray[np.integer] | None = None,
    ) -> None:
        """`domain_codes` (V,) tells the domains apart; None for a catalogue of one domain."""
        super().__init__(encoders, combine, unit)
        self.register_buffer("counts", torch.zeros(self.n_rows))
        self._n_domains = 0
        if domain_codes is not None:
            for code in np.unique(domain_codes):
                self._add_domain(np.flatnonzero(domain_codes == code))

    def _add_domain(self, members: npt.NDArray[np.int64]) -> None:
        positions = np.full(self.n_rows, -1)
        positions[members] = np.arange(len(members))
        self.register_buffer(f"domain_members_{self._n_domains}", torch.from_numpy(members), persistent=False)
        self.register_buffer(f"domain_positions_{self._n_domains}", torch.from_numpy(positions), persistent=False)
        self._n_domains += 1

    @property
    def n_items(self) -> int:
        """Size of the catalogue, V."""
        return len(self.counts)

    @property
    def log_frequency(self) -> Tensor:
        """(V,) log of each item's share of the training events, with one event added to each (Laplace)."""
        return _log_share(self.counts)

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        """(N, D) vectors of the items `codes` (N,), or (V, D) of all."""
        return self.encode(torch.arange(self.n_items, device=self.counts.device) if codes is None else codes)

    def domains(self) -> Sequence[tuple[Tensor, Candidates]]:
        """For each domain the positions (V,) of its items, -1 for others, and the items as candidates."""
        if self._n_domains < 2:
            return ()
        return [
            (self.get_buffer(f"domain_positions_{nth}"), _DomainItems(self, self.get_buffer(f"domain_members_{nth}")))
            for nth in range(self._n_domains)
        ]


class _DomainItems:
    """The items of one domain as candidates, by their positions among them."""

    def __init__(self, items: ItemEmbeddings, members: Tensor) -> None:
        self._items, self._members = items, members

    @property
    def n_items(self) -> int:
        return len(self._members)

    @property
    def log_frequency(self) -> Tensor:
        return _log_share(self._items.counts[self._members])

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        return self._items.vectors(self._members if codes is None else self._members[codes])

    def domains(self) -> Sequence[tuple[Tensor, Candidates]]:
        return ()


def _log_share(counts: Tensor) -> Tensor:
    smoothed = counts + 1
    return torch.log(smoothed / smoothed.sum())
