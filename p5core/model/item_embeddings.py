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
        self._domain_codes = np.zeros(self.n_rows, dtype=np.int16) if domain_codes is None else domain_codes
        self._n_groups = 0
        self._group(np.ones(self.n_rows, dtype=np.bool_))

    @property
    def reads_content(self) -> bool:
        """True if an encoder has no row of its own for each item, so that it tells items apart without events."""
        return any("item" not in cast(Encoder, encoder).row_labels().values() for encoder in self.encoders)

    def count(self, counts: npt.NDArray[np.integer]) -> None:
        """Set the training events (V,) of each item.

        Items without any are no negatives in training where their content is read: nothing says that they are not
        wanted, and the network would learn to avoid what is new.
        """
        self.counts.copy_(torch.from_numpy(counts))
        self._group((counts > 0) | (not self.reads_content))

    def _group(self, is_candidate: npt.NDArray[np.bool_]) -> None:
        """Keep the candidates of each domain; none where all items are candidates of one domain."""
        codes = np.unique(self._domain_codes)
        groups = [np.flatnonzero(is_candidate & (self._domain_codes == code)) for code in codes]
        self._n_groups = 0 if len(codes) == 1 and is_candidate.all() else len(groups)
        for nth, members in enumerate(groups[: self._n_groups]):
            positions = np.full(self.n_rows, -1)
            positions[members] = np.arange(len(members))
            for name, values in (("members", members), ("positions", positions)):
                buffer = torch.from_numpy(values).to(self.counts.device)
                self.register_buffer(f"domain_{name}_{nth}", buffer, persistent=False)

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
        """For each domain the positions (V,) of its candidates, -1 for other items, and the candidates."""
        return tuple(
            (self.get_buffer(f"domain_positions_{nth}"), _DomainItems(self, self.get_buffer(f"domain_members_{nth}")))
            for nth in range(self._n_groups)
        )


class _DomainItems:
    """Candidates of one domain, by their positions among them."""

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
