"""An exported model in Python, with onnxruntime and numpy alone.

from p5export.runtime import OnnxRecommender

model = OnnxRecommender("runs/demo/export")
model.recommend([50, 181], k=10)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from p5core.errors import ExportError
from p5export.bundle.bundle import Bundle
from p5export.bundle.raw_ids import RawId, as_array, as_candidates, as_history, as_id, is_list, shown

__all__ = ["OnnxRecommender", "Recommended"]


@dataclass(frozen=True)
class Recommended:
    """One item of an answer."""

    item: RawId
    score: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    """column → text, for the columns that were exported"""


class OnnxRecommender:
    """Recommends and scores with an export. Any number of threads may share one."""

    def __init__(
        self,
        folder: Path | str,
        *,
        threads: int | None = None,
        options: onnxruntime.SessionOptions | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        check: bool = True,
    ) -> None:
        """Open an export; raises ExportError when a file is missing or was changed.

        A file is opened when it is first needed; when the folder was replaced by another export meanwhile, that is an
        ExportError too, so that all answers are those of one version.

        `threads` is how many a single call may use, all cores when None; `options` replaces it by session options of
        your own. `check=False` skips the hashes, for files that were checked before.
        """
        if not isinstance(folder, (str, os.PathLike)):
            raise ExportError(f"Give the folder of an export; got {shown(folder)}.")
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise ExportError(f"threads is a positive number, or None for all cores; got {shown(threads)}.")
        self.bundle = Bundle.load(folder)
        self._stamps = self.bundle.stamps()
        if check:
            self.bundle.check()
        if options is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads or 0
        self._options, self._providers = options, [providers] if isinstance(providers, str) else list(providers)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._opening = threading.Lock()

    @property
    def uses_history(self) -> bool:
        """True if the model reads histories, False if it reads users."""
        return self.bundle.uses_history

    def recommend(self, who: Sequence[RawId] | RawId, k: int = 10) -> list[Recommended]:
        """The `k` best items for a history of raw ids, oldest first, or for a user of a model without history.

        Fewer than `k` when the catalogue is used up. Unknown ids are skipped; an empty history gets popular items.
        """
        return self.recommend_batch([who], k)[0]

    def recommend_batch(self, many: Sequence[Sequence[RawId] | RawId], k: int = 10) -> list[list[Recommended]]:
        """`recommend` for several histories or users in one call."""
        is_table = isinstance(many, np.ndarray) and many.ndim > 0
        if not is_table and not is_list(many):
            what = "histories" if self.uses_history else "users"
            raise ExportError(f"Give a list of {what}; got {shown(many)}.")
        if not len(many):
            return []
        n_items = min(_count(k), int(self.bundle.manifest["n_items"]))
        session = self._session("model.onnx")
        names = [output.name for output in session.get_outputs()]
        outputs = session.run(None, {**self._who(many), "k": np.array([n_items], dtype=np.int64)})
        items, scores, *texts = (result.tolist() for result in outputs)
        columns = dict(zip(names[2:], texts, strict=True))
        return [
            [
                Recommended(item, score, {name: column[row][place] for name, column in columns.items()})
                for place, (item, score) in enumerate(zip(items[row], scores[row], strict=True))
                if item != self.bundle.padding
            ]
            for row in range(len(many))
        ]

    def score(self, who: Sequence[RawId] | RawId, candidates: Sequence[RawId]) -> npt.NDArray[np.float32]:
        """(n,) scores of candidate items; -inf for unknown ones."""
        scores: npt.NDArray[np.float32] = self._score([who], candidates)["scores"][0]
        return scores

    def ratings(self, who: Sequence[RawId] | RawId, candidates: Sequence[RawId]) -> npt.NDArray[np.float32]:
        """(n,) predicted ratings of candidate items; raises ExportError for a model that predicts none."""
        return self.predict("ratings", who, candidates)

    def predict(
        self, output: str, who: Sequence[RawId] | RawId, candidates: Sequence[RawId]
    ) -> npt.NDArray[np.float32]:
        """(n,) the prediction `output` of candidate items; raises ExportError when the model has no such output."""
        outputs = self._score([who], candidates)
        if output not in outputs:
            names = ", ".join(name for name in outputs if name != "scores") or "none: it was trained to rank alone"
            raise ExportError(f"This model predicts no {output}. Its predictions: {names}.")
        predicted: npt.NDArray[np.float32] = outputs[output][0]
        return predicted

    def _score(self, many: Sequence[Sequence[RawId] | RawId], candidates: Sequence[RawId]) -> dict[str, Any]:
        session = self._session("score.onnx")
        names = [output.name for output in session.get_outputs()]
        kind = self.bundle.id_kind
        candidate_ids = as_array(as_candidates(candidates, kind), kind)[None]
        return dict(zip(names, session.run(None, {**self._who(many), "candidates": candidate_ids}), strict=True))

    def _who(self, many: Sequence[Sequence[RawId] | RawId]) -> dict[str, npt.NDArray[Any]]:
        """The input `history`, padded at the right to the longest, or `user`."""
        if not self.uses_history:
            user_kind = str(self.bundle.manifest["user_kind"])
            return {"user": as_array([_user(user, user_kind) for user in many], user_kind)}
        kind, padding = self.bundle.id_kind, self.bundle.padding
        histories = [as_history(history, kind) for history in many]
        width = max(len(history) for history in histories)
        flat = [raw_id for history in histories for raw_id in (*history, *[padding] * (width - len(history)))]
        return {"history": as_array(flat, kind).reshape(len(histories), width)}

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        """Open a file when it is first used."""
        with self._opening:
            if name not in self._sessions:
                self._sessions[name] = self._open(name)
            return self._sessions[name]

    def _open(self, name: str) -> onnxruntime.InferenceSession:
        """Open a file of the version that this object was made from."""
        folder, before = self.bundle.folder, self.bundle.stamps()
        replaced = ExportError(f"{folder} holds other files than when it was opened. Open it again.")
        if before != self._stamps:  # perhaps by equal ones
            try:
                self.bundle.check()
            except ExportError:
                raise replaced from None
        try:
            session = onnxruntime.InferenceSession(str(folder / name), self._options, providers=self._providers)
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot open {folder / name}: {error}") from error
        if self.bundle.stamps() != before:
            raise replaced
        self._stamps = before
        return session


def _count(k: object) -> int:
    if isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)) and k >= 0:
        return int(k)
    raise ExportError(f"k is {shown(k)}; ask for 0 items or more, as a whole number.")


def _user(user: Any, kind: str) -> RawId:
    if isinstance(user, (list, tuple, np.ndarray)):
        raise ExportError(
            "This model represents users by trained vectors and reads no history. Give a user instead of a list."
        )
    return as_id(user, kind)
