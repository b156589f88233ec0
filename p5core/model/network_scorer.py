"""A trained network as a scorer of whole catalogues."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.data.batch import gather_padded
from p5core.data.dataset import Ragged
from p5core.model.cooccurrence import Memory
from p5core.model.network import Network

__all__ = ["NetworkScorer", "newest"]

ROWS_TOGETHER = 32
"""Histories that are padded to the longest of them."""


def newest(histories: Ragged, max_length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The newest `max_length` items of each history: codes (B, T), right-padded, and lengths (B,)."""
    lengths = np.minimum(histories.lengths, max_length)
    values = histories.values if len(histories.values) else np.zeros(1, dtype=np.int32)
    padded = gather_padded(values, histories.offsets[1:] - lengths, lengths)
    return padded.astype(np.int64), lengths


class NetworkScorer:
    """Scores every item for many histories; item vectors are computed once."""

    def __init__(self, network: Network, max_length: int) -> None:
        """Freeze the network's present weights."""
        self._network = network.eval()
        self._max_length = max_length
        self._memory = network.memory if network.memory is not None and network.memory.is_used else None
        with torch.inference_mode():
            self._vectors = network.table.vectors()  # (V, D)
            self._popular = network.table.log_frequency  # (V,)

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores; an empty history, or an unknown user (-1) where users have vectors, gets popular items."""
        with torch.inference_mode():
            scores = self._states(users, histories) @ self._vectors.T
            if self._memory is not None:
                scores = self._memory.mix(scores, self.remembered(self._memory, histories))
            unknown = histories.lengths == 0 if self._network.backbone.uses_history else users < 0
            if unknown.any():
                scores[torch.from_numpy(unknown).to(scores.device)] = self._popular
            return scores

    def remembered(self, memory: Memory, histories: Ragged) -> Tensor:
        """(B, V) what a memory scores for the part of each history that the network reads."""
        items, lengths = newest(histories, min(self._max_length, memory.config.n_recent))
        return memory.scores(self._tensor(items), self._tensor(lengths))

    def ratings(self, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> npt.NDArray[np.float64]:
        """(n_targets,) predicted ratings of the targets of each user."""
        with torch.inference_mode():
            rows = self._tensor(targets.rows)
            states = self._states(users, histories)[rows]
            found = self._network.ratings(states, self._tensor(users)[rows], self._tensor(targets.values))
            return found.double().cpu().numpy()

    def _states(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, D) states; histories of like length are computed together, so that short ones are hardly padded."""
        order = np.argsort(histories.lengths, kind="stable")
        parts = [order[begin : begin + ROWS_TOGETHER] for begin in range(0, max(1, len(order)), ROWS_TOGETHER)]
        found = torch.cat([self._padded_states(users[rows], histories.take(rows)) for rows in parts])
        return found[torch.from_numpy(np.argsort(order)).to(found.device)]

    def _padded_states(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        items, lengths = newest(histories, self._max_length)
        return self._network.last_states(self._tensor(users), self._tensor(items), self._tensor(lengths))

    def _tensor(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(values.astype(np.int64), device=self._vectors.device)
