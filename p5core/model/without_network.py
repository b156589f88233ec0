"""The network of a model of scorers alone: it has no weights, and scores every history by popularity.

Blended with the scorers by a vanishing weight, it orders the items that they hold equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import Encoder, Features
from p5core.contracts.part import NoOptions
from p5core.model.item_embeddings import ItemEmbeddings
from p5core.model.network import Network

__all__ = ["POPULARITY_WEIGHT", "popularity_network"]

POPULARITY_WEIGHT = 1e-4
"""Weight of the popularity beside that of the first scorer, 1; less would be lost in the rounding of float32."""


def popularity_network(n_items: int, max_length: int, domain_codes: npt.NDArray[np.integer] | None = None) -> Network:
    """A network of width 1: the vector of an item is the log of its share of the training events, each state is 1."""
    rows = _Rows(NoOptions(), Features(n_items), 1)
    return Network(_Frequencies([rows], domain_codes=domain_codes), _One(NoOptions(), 1, max_length), 0.0)


class _Rows(Encoder):
    """Knows the number of the items alone."""

    def forward(self, codes: Tensor) -> Tensor:
        return torch.ones(len(codes), 1, device=codes.device)


class _Frequencies(ItemEmbeddings):
    """Items whose vectors follow from their counts."""

    def encode(self, codes: Tensor) -> Tensor:
        return self.log_frequency[codes][:, None]


class _One(Backbone):
    """A state of 1 at every position."""

    name = "one"
    causal = True

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        return torch.ones_like(vectors)
