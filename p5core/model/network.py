"""The network: item table → backbone → states, and what is read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone
from p5core.data.batch import NO_TARGET, Batch
from p5core.model.cooccurrence import Memory
from p5core.model.dropout import Dropout
from p5core.model.heads import RatingHead
from p5core.model.item_embeddings import ItemTable

__all__ = ["Labels", "Network"]


@dataclass(frozen=True)
class Labels:
    """What the rows of growing tables stand for."""

    users: Sequence[str]
    """U raw ids as text"""

    items: Sequence[str]
    """V labels of the catalogue"""


class Network(nn.Module):
    """Everything that is trained."""

    def __init__(
        self,
        table: ItemTable,
        backbone: Backbone,
        labels: Labels,
        dropout: float,
        rating_mean: float | None = None,
        memory: Memory | None = None,
    ) -> None:
        """Put the pieces together; `rating_mean` asks for a rating head."""
        super().__init__()
        self.table = table
        self.backbone = backbone
        self.dropout = Dropout(dropout)
        self.mask_vector = nn.Parameter(torch.randn(backbone.width) * 0.02) if not backbone.causal else None
        self.user_vectors = None if backbone.uses_history else nn.Embedding(len(labels.users), backbone.width)
        if self.user_vectors is not None:
            nn.init.normal_(self.user_vectors.weight, std=0.02)
        n_users = None if self.user_vectors is None else len(labels.users)
        head = None if rating_mean is None else RatingHead(n_users, table.n_items, backbone.width, rating_mean)
        self.rating_head = head
        self.memory = memory
        self._labels = labels

    def states(self, batch: Batch) -> Tensor:
        """(B, T, D) states of a batch."""
        return cast(Tensor, self.backbone(self.dropout(self._vectors(batch)), batch.real))

    def _vectors(self, batch: Batch) -> Tensor:
        """(B, T, D) what the backbone reads."""
        if self.user_vectors is None:
            return self._history_vectors(batch)
        vectors: Tensor = self.user_vectors(batch.users)[:, None, :]
        return vectors.expand(-1, batch.items.shape[1], -1)

    def _history_vectors(self, batch: Batch) -> Tensor:
        shape = (*batch.items.shape, -1)
        vectors = self.table.vectors(batch.items.flatten()).view(shape)  # (B, T, D)
        if batch.masked is not None:
            hidden = torch.zeros_like(vectors[0, 0]) if self.mask_vector is None else self.mask_vector.to(vectors.dtype)
            vectors = torch.where(batch.masked[..., None], hidden, vectors)
        return vectors * batch.real[..., None]

    def last_states(self, users: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, D) states that predict what follows the histories `items` (B, T), right-padded, of `lengths` (B,).

        A bidirectional backbone reads a masked position behind the last item. The state of an empty history, or of an
        unknown user (-1) where users have vectors, is zero: in its ratings nothing speaks but biases.
        """
        known = lengths > 0 if self.user_vectors is None else users >= 0
        return self._last(users.clamp_min(0), items, lengths) * known[:, None]

    def _last(self, users: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        if self.backbone.causal:
            batch = Batch(users, items, lengths, torch.full_like(items, NO_TARGET))
            return self._state_at(batch, (lengths - 1).clamp_min(0))
        longer = torch.cat([items, items.new_zeros(len(items), 1)], dim=1)  # (B, T + 1)
        masked = torch.arange(longer.shape[1], device=items.device) == lengths[:, None]
        batch = Batch(users, longer, lengths + 1, torch.full_like(longer, NO_TARGET), masked=masked)
        return self._state_at(batch, lengths)

    def _state_at(self, batch: Batch, places: Tensor) -> Tensor:
        return self.backbone.state_at(self.dropout(self._vectors(batch)), batch.real, places)

    def ratings(self, states: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """(N,) predicted ratings of `items` (N,) by `users` (N,) in `states` (N, D)."""
        if self.rating_head is None:
            raise ValueError("This network was built without a rating head.")
        return cast(Tensor, self.rating_head(states, self.table.vectors(items), users, items))

    def row_labels(self) -> dict[str, Sequence[str]]:
        """State-dict name → row labels of everything that grows with the data."""
        labels = {f"table.{name}": rows for name, rows in self.table.row_labels().items()}
        if self.user_vectors is not None:
            labels["user_vectors.weight"] = self._labels.users
        if self.rating_head is not None:
            labels["rating_head.item_bias.weight"] = self._labels.items
            if self.rating_head.user_bias is not None:
                labels["rating_head.user_bias.weight"] = self._labels.users
        return labels
