"""The cost of a smaller file in ranking quality, beside the file that equals the network."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from p5core.errors import ExportError
from p5core.evaluation.evaluator import Evaluator
from p5export.graph.serving import Serving
from p5export.validation.sessions import ExportedScorer, request_of

__all__ = ["MAX_NDCG_LOSS", "MIN_OVERLAP", "Cost", "cost_of"]

MAX_NDCG_LOSS = 0.01
"""Share of NDCG@10 that a quantised file may lose."""

MIN_OVERLAP = 0.9
"""Share of the ten best items that must stay, on average."""

N_LISTS = 200
"""Users whose lists are compared and timed."""


@dataclass(frozen=True)
class Cost:
    """Both files side by side: `plain` is float32."""

    quantize: str
    plain_bytes: int
    bytes: int
    plain_ms: float
    """median of one request on one thread"""
    ms: float
    overlap_at_10: float
    plain_ndcg_at_10: float
    ndcg_at_10: float

    @property
    def ndcg_loss(self) -> float:
        """Share of NDCG@10 that is lost; negative when the quantised file is better by chance."""
        return 1 - self.ndcg_at_10 / self.plain_ndcg_at_10 if self.plain_ndcg_at_10 else 0.0

    def __str__(self) -> str:
        return (
            f"{self.quantize}: {self.bytes / 1e6:.2f} MB (float32 {self.plain_bytes / 1e6:.2f} MB), "
            f"{self.ms:.2f} ms a request (float32 {self.plain_ms:.2f} ms), overlap@10 {self.overlap_at_10:.3f}, "
            f"NDCG@10 {self.ndcg_at_10:.4f} (float32 {self.plain_ndcg_at_10:.4f}, loss {self.ndcg_loss:.2%})"
        )

    def check(self, is_forced: bool) -> None:
        """Raise ExportError when too much is lost, unless it is forced."""
        if not is_forced and (self.ndcg_loss > MAX_NDCG_LOSS or self.overlap_at_10 < MIN_OVERLAP):
            more = "choose more --subvectors, " if self.quantize == "product" else ""
            raise ExportError(
                f"{self}. At most {MAX_NDCG_LOSS:.0%} of NDCG@10 may be lost, and {MIN_OVERLAP:.0%} of the ten best "
                f"items must stay. Keep the file with --force, {more}or choose another --quantize."
            )

    def to_dict(self) -> dict[str, Any]:
        """For p5.json; without the times, which differ from one export to the next."""
        kept = {name: value for name, value in asdict(self).items() if not name.endswith("ms")}
        return {**kept, "ndcg_loss": self.ndcg_loss}


def cost_of(serving: Serving, plain: Path, folder: Path, evaluator: Evaluator) -> Cost:
    """Compare the files of two folders on held-out users; `evaluator` measures ndcg@10."""
    holdout = evaluator.holdout
    rows = np.linspace(0, len(holdout) - 1, min(N_LISTS, len(holdout))).astype(int)
    requests = [request_of(serving, holdout.users[row : row + 1], holdout.histories[row]) for row in rows]
    plain_lists, plain_ms = _lists(plain, requests)
    lists, ms = _lists(folder, requests)
    shared = [len(row & other) / len(row) for row, other in zip(plain_lists, lists, strict=True) if row]
    return Cost(
        quantize=serving.options.quantize,
        plain_bytes=_size(plain),
        bytes=_size(folder),
        plain_ms=plain_ms,
        ms=ms,
        overlap_at_10=float(np.mean(shared or [1.0])),
        plain_ndcg_at_10=_ndcg(evaluator, ExportedScorer(serving, plain / "score.onnx")),
        ndcg_at_10=_ndcg(evaluator, ExportedScorer(serving, folder / "score.onnx")),
    )


def _lists(folder: Path, requests: list[dict[str, Any]]) -> tuple[list[set[Any]], float]:
    """The ten best items of each request, padding left out, and the median milliseconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    lists, times = [], []
    for request in requests:
        begin = time.perf_counter()
        items, scores = session.run(["items", "scores"], {**request, "k": np.array([10])})
        times.append(time.perf_counter() - begin)
        lists.append(set(items[0][np.isfinite(scores[0])].tolist()))
    return lists, 1000 * float(np.median(times))


def _ndcg(evaluator: Evaluator, scorer: ExportedScorer) -> float:
    return evaluator.results(scorer)["ndcg@10"].value


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("model.onnx*"))
