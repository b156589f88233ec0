"""The network: item vectors → backbone → states, and the layers of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import RowLabels
from p5core.data.batch import Batch
from p5core.model.dropout import Dropout
from p5core.model.item_embeddings import EntityEmbeddings, ItemEmbeddings

__all__ = ["Network"]


class Network(nn.Module):
    """All trained modules."""

    def __init__(
        self, items: ItemEmbeddings, backbone: Backbone, dropout: float, users: EntityEmbeddings | None = None
    ) -> None:
        """Put the modules together; `users` are the vectors of users, for a backbone that reads no history."""
        super().__init__()
        self.items = items
        self.backbone = backbone
        self.dropout = Dropout(dropout)
        self.mask_vector = nn.Parameter(torch.randn(backbone.width) * 0.02) if not backbone.causal else None
        self.users = users
        self.tasks = nn.ModuleDict()
        self._task_labels: dict[str, RowLabels] = {}

    @property
    def task_layers(self) -> Mapping[str, nn.Module]:
        """Name of a task → the layers that it made."""
        return cast(Mapping[str, nn.Module], self.tasks)

    def add_task(self, name: str, layers: nn.Module, row_labels: Mapping[str, RowLabels]) -> None:
        """Take over the layers of a task."""
        self.tasks[name] = layers
        self._task_labels |= {f"tasks.{name}.{key}": labels for key, labels in row_labels.items()}

    def states(self, batch: Batch) -> Tensor:
        """(B, T, D) states of a batch."""
        return cast(Tensor, self.backbone(self.dropout(self._vectors(batch)), batch.real))

    def _vectors(self, batch: Batch) -> Tensor:
        """(B, T, D) input of the backbone."""
        if self.users is None:
            return self._history_vectors(batch)
        vectors = self.users.encode(batch.users)[:, None, :]
        return vectors.expand(-1, batch.items.shape[1], -1)

    def _history_vectors(self, batch: Batch) -> Tensor:
        shape = (*batch.items.shape, -1)
        vectors = self.items.vectors(batch.items.flatten()).view(shape)  # (B, T, D)
        if batch.masked is not None:
            hidden = torch.zeros_like(vectors[0, 0]) if self.mask_vector is None else self.mask_vector.to(vectors.dtype)
            vectors = torch.where(batch.masked[..., None], hidden, vectors)
        return vectors * batch.real[..., None]

    def last_states(self, users: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, D) states that predict what follows the histories `items` (B, T), right-padded, of `lengths` (B,).

        A bidirectional backbone reads a masked position behind the last item. The state of an empty history, or of an
        unknown user (-1) where users have vectors, is zero.
        """
        is_known = lengths > 0 if self.users is None else users >= 0
        return self._last(users.clamp_min(0), items, lengths) * is_known[:, None]

    def _last(self, users: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        if self.backbone.causal:
            return self._state_at(Batch(users, items, lengths), (lengths - 1).clamp_min(0))
        longer = torch.cat([items, items.new_zeros(len(items), 1)], dim=1)  # (B, T + 1)
        masked = torch.arange(longer.shape[1], device=items.device) == lengths[:, None]
        return self._state_at(Batch(users, longer, lengths + 1, masked=masked), lengths)

    def _state_at(self, batch: Batch, places: Tensor) -> Tensor:
        return self.backbone.state_at(self.dropout(self._vectors(batch)), batch.real, places)

    def row_labels(self) -> dict[str, RowLabels]:
        """State-dict name → row labels of everything that grows with the data."""
        labels = {f"items.{name}": rows for name, rows in self.items.row_labels().items()}
        if self.users is not None:
            labels |= {f"users.{name}": rows for name, rows in self.users.row_labels().items()}
        return labels | self._task_labels
