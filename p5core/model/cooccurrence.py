"""The item memory inside a network: what was had next to what, beside what was learnt."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from p5core.data.dataset import Events
from p5core.model.item_knn import Neighbours
from p5core.model.options import COUNTED_BY, NeighboursConfig

__all__ = ["FLOOR", "MIXTURES", "Memory"]

FLOOR = 1e-4
"""Added to shares of the memory before their logarithm: what no history item reaches is rare, not impossible."""

MIXTURES = (
    *((1.0, weight) for weight in (0.0, 0.25, 0.5, 0.7, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 8.0, 13.0)),
    (0.0, 1.0),
)
"""(weight of the network, weight of the memory) to choose from on validation events; each alone is among them."""


class Memory(nn.Module):
    """The best M neighbours of each item, read for the newest history items and mixed with the network's scores.

    score(j) = w_n log p_network(j) + w_m log(p_memory(j) + floor): both as shares over the catalogue, the memory's from
    the recency-weighted similarities of `Neighbours`. It is filled from training events, never by gradients.
    """

    neighbours: Tensor
    """(V, M) int32 item codes; where an item has fewer, any code with similarity 0"""
    similarity: Tensor
    """(V, M) float32"""
    counted_by: Tensor
    """(7,) the values of the options COUNTED_BY that were chosen, beside the weights since a run is loaded with them"""
    mixture: Tensor
    """(2,) weights of network and memory"""

    def __init__(self, n_items: int, config: NeighboursConfig) -> None:
        """An empty memory: the network's scores stay as they are."""
        super().__init__()
        self.config = config
        self.register_buffer("counted_by", torch.zeros(len(COUNTED_BY), dtype=torch.float64))
        self._count_by(config)
        self.register_buffer("neighbours", torch.zeros(n_items, config.n_neighbours, dtype=torch.int32))
        self.register_buffer("similarity", torch.zeros(n_items, config.n_neighbours))
        self.register_buffer("mixture", torch.tensor(MIXTURES[0]))

    def _count_by(self, config: NeighboursConfig) -> None:
        values = [float(getattr(config, name)) for name in COUNTED_BY]
        self.counted_by.copy_(torch.tensor(values, dtype=torch.float64))

    @property
    def counting(self) -> NeighboursConfig:
        """The options by which it was filled."""
        values = dict(zip(COUNTED_BY, self.counted_by.tolist(), strict=True))
        return NeighboursConfig.model_validate({**self.config.model_dump(), **values})

    def fill(self, events: Events, content: csr_array | None = None) -> None:
        """Count the pairs of training events, and what is `content` to them, as it was chosen before."""
        self.keep(Neighbours.fit(events, len(self.neighbours), self.counting, content))

    def keep(self, counted: Neighbours) -> None:
        """Take over counts and the options they were made by."""
        self._count_by(counted.config)
        n_items, n_neighbours = self.neighbours.shape
        found = counted.similarity
        rows = np.repeat(np.arange(n_items), np.diff(found.indptr))
        places = np.arange(len(rows)) - found.indptr[rows]
        codes = np.zeros((n_items, n_neighbours), dtype=np.int32)
        values = np.zeros((n_items, n_neighbours), dtype=np.float32)
        codes[rows, places], values[rows, places] = found.indices, found.data
        self.neighbours.copy_(torch.from_numpy(codes))
        self.similarity.copy_(torch.from_numpy(values))

    @property
    def is_used(self) -> bool:
        """Whether it has a say in the mixture."""
        return bool(self.mixture[1] > 0)

    def scores(self, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, V) summed similarities for histories `items` (B, T), right-padded, of `lengths` (B,)."""
        places = torch.arange(items.shape[1], device=items.device)
        ages = lengths[:, None] - 1 - places  # (B, T)
        weights = self.counting.recency ** ages.clamp_min(0) * ((ages >= 0) & (ages < self.config.n_recent))
        items = torch.where(ages >= 0, items, 0)
        values = self.similarity[items] * weights[..., None]  # (B, T, M)
        codes = self.neighbours[items].long().flatten(1)  # (B, T · M)
        blank = values.new_zeros(items.shape[0], self.neighbours.shape[0])
        return blank.scatter_add(1, codes, values.flatten(1))

    def mix(self, network: Tensor, memory: Tensor) -> Tensor:
        """(B, V) both scores as one."""
        return self.weigh(network.log_softmax(dim=1), self.log_shares(memory))

    def weigh(self, learnt: Tensor, remembered: Tensor) -> Tensor:
        """(B, V) the weighted sum of the logarithms of both."""
        return self.mixture[0] * learnt + self.mixture[1] * remembered

    @staticmethod
    def log_shares(memory: Tensor) -> Tensor:
        """(B, V) logarithm of what each item has of a row's similarities."""
        share = memory / memory.sum(dim=1, keepdim=True).clamp_min(torch.finfo(memory.dtype).tiny)
        return torch.log(share + FLOOR)
