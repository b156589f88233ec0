"""Exported graphs as ONNX Runtime sessions, and requests to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor

from p5core.data.dataset import Ragged
from p5core.data.vocabulary import Vocabulary
from p5export.graph.serving import Serving

__all__ = ["Arrays", "ExportedScorer", "as_array", "open_session", "raw_ids", "request_of", "run_session", "unknown_id"]

Arrays = dict[str, npt.NDArray[Any]]


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session on the processor."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, inputs: Arrays) -> Arrays:
    """Name → output of one request."""
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))


def unknown_id(kind: str) -> int | str:
    """An id that no item has."""
    return -987_654_321_987 if kind == "int64" else "\N{SNOWMAN} nobody has this id"


def raw_ids(ids: Vocabulary, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Raw ids of codes; an id that nobody has for -1."""
    return as_array(
        [ids.decode(np.array([code]))[0] if code >= 0 else unknown_id(ids.kind) for code in codes], ids.kind
    )


def as_array(raw: list[Any], kind: str) -> npt.NDArray[Any]:
    """Raw ids as an array of their type."""
    return np.array(raw, dtype=np.int64 if kind == "int64" else object)


class ExportedScorer:
    """`score.onnx` as a scorer of the run's catalogue, so that the run's own metrics can be computed from it."""

    def __init__(self, serving: Serving, path: Path) -> None:
        self._serving = serving
        self._session = open_session(path)
        self._everything = raw_ids(serving.items, np.arange(len(serving.items)))[None]
        self._n_items = serving.network.items.n_items

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores, -inf for items of other domains."""
        serving = self._serving
        scores = np.full((len(users), self._n_items), -np.inf, dtype=np.float32)
        for row in range(len(users)):
            inputs = {**request_of(self._serving, users[row : row + 1], histories[row]), "candidates": self._everything}
            scores[row, serving.rows] = run_session(self._session, inputs)["scores"][0]
        return torch.from_numpy(scores)

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.float64] | None:
        """(n_targets,) the predicted field; None when the model predicts no such field."""
        names = [name for name, prediction in self._serving.predictions.items() if prediction.output.field == field]
        if not names:
            return None
        parts = []
        for row in range(len(users)):
            candidates = raw_ids(self._serving.items, _places(self._serving, targets[row]))[None]
            inputs = {**request_of(self._serving, users[row : row + 1], histories[row]), "candidates": candidates}
            parts.append(run_session(self._session, inputs)[names[0]][0])
        return np.concatenate(parts).astype(np.float64)


def request_of(serving: Serving, user: npt.NDArray[np.int32], history: npt.NDArray[np.int32]) -> Arrays:
    """The model inputs for one user (1,) with a history of catalogue codes (n,)."""
    if serving.users is not None:
        return {"user": raw_ids(serving.users, user)}
    places = _places(serving, history)
    return {"history": raw_ids(serving.items, places[places >= 0]).reshape(1, -1)}


def _places(serving: Serving, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Places among the V items of catalogue codes, -1 for those of other domains."""
    places = np.minimum(np.searchsorted(serving.rows, codes), len(serving.rows) - 1)
    result: npt.NDArray[np.int64] = np.where(serving.rows[places] == codes, places, -1)
    return result
