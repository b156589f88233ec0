"""A trained network as a scorer of whole catalogues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.task import Task
from p5core.data.batch import gather_padded
from p5core.data.dataset import Ragged
from p5core.model.blend import Blend
from p5core.model.network import Network

__all__ = ["NetworkScorer", "exact_inference", "newest"]

ROWS_TOGETHER = {"cpu": 32}
"""Histories that are padded to the longest of them, by device: a processor computes no padding for nothing."""

ROWS_TOGETHER_ELSEWHERE = 1_024


def newest(histories: Ragged, max_length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The newest `max_length` items of each history: codes (B, T), right-padded, and lengths (B,)."""
    lengths = np.minimum(histories.lengths, max_length)
    values = histories.values if len(histories.values) else np.zeros(1, dtype=np.int32)
    padded = gather_padded(values, histories.offsets[1:] - lengths, lengths)
    return padded.astype(np.int64), lengths


@contextmanager
def exact_inference() -> Iterator[None]:
    """A context without gradients and without TF32, so that GPU and CPU rank alike."""
    cudnn, products = torch.backends.cudnn, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    kept = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    try:
        with torch.inference_mode(), cudnn.flags(**kept, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(products)


class NetworkScorer:
    """Scores every item for many histories; item vectors are computed once."""

    def __init__(
        self, network: Network, max_length: int, blend: Blend | None = None, tasks: Sequence[Task] = ()
    ) -> None:
        """Freeze the network's present weights; `tasks` predict values and probabilities."""
        self._network = network.eval()
        self._max_length = max_length
        self._blend = blend
        self._tasks = tasks
        with exact_inference():
            self._vectors = network.items.vectors()  # (V, D)
            self._popular = network.items.log_frequency  # (V,)

    @property
    def device(self) -> torch.device:
        """Device of the scores."""
        return self._vectors.device

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores; an empty history, or an unknown user (-1) where users have vectors, gets popular items."""
        with exact_inference():
            scores = self._states(users, histories) @ self._vectors.T
            if self._blend is not None:
                scores = self._blend.scores(scores, users, self.read_part(histories))
            unknown = histories.lengths == 0 if self._network.backbone.uses_history else users < 0
            if unknown.any():
                scores[torch.from_numpy(unknown).to(scores.device)] = self._popular
            return scores

    def read_part(self, histories: Ragged) -> Ragged:
        """The newest items of each history, as many as the network reads."""
        lengths = np.minimum(histories.lengths, self._max_length)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(histories.offsets[1:] - offsets[1:], lengths)
        return Ragged(histories.values[index], offsets)

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.float64] | None:
        """(n_targets,) the predicted field of the targets of each user; None when no task predicts it."""
        for task in self._tasks:
            for name, output in task.outputs.items():
                if output.field == field:
                    return self._predicted(task, name, users, histories, targets)
        return None

    def _predicted(
        self, task: Task, output: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.float64]:
        with exact_inference():
            rows, items = self._tensor(targets.rows), self._tensor(targets.values)
            states = self._states(users, histories)[rows]
            layers = self._network.task_layers[task.name]
            predicted = task.predict(layers, output, states, self._vectors[items], self._tensor(users)[rows], items)
            return predicted.double().cpu().numpy()

    def _states(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, D) states; histories of like length are computed together, so that short ones are hardly padded."""
        order = np.argsort(histories.lengths, kind="stable")
        size = ROWS_TOGETHER.get(self.device.type, ROWS_TOGETHER_ELSEWHERE)
        parts = [order[begin : begin + size] for begin in range(0, max(1, len(order)), size)]
        states = torch.cat([self._padded_states(users[rows], histories.take(rows)) for rows in parts])
        return states[torch.from_numpy(np.argsort(order)).to(states.device)]

    def _padded_states(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        items, lengths = newest(histories, self._max_length)
        return self._network.last_states(self._tensor(users), self._tensor(items), self._tensor(lengths))

    def _tensor(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(values.astype(np.int64), device=self.device)
