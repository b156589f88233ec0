"""Several requests answered by one call of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from p5export.runtime import OnnxRecommender, Recommended

__all__ = ["Answer", "RecommendJob", "RequestModel", "ScoreJob", "Scored"]

RawId = str | int
Who = Sequence[RawId] | RawId


@dataclass(frozen=True)
class RecommendJob:
    """The `k` best items are wanted."""

    who: Who
    k: int


@dataclass(frozen=True)
class ScoreJob:
    """The scores of candidates are wanted."""

    who: Who
    candidates: Sequence[RawId]


@dataclass(frozen=True)
class Scored:
    """One score and one of each prediction a candidate."""

    scores: list[float]
    predictions: dict[str, list[float]]


Job = RecommendJob | ScoreJob
Answer = list[Recommended] | Scored


class RequestModel(OnnxRecommender):
    """Answers requests of one shape by one call of ONNX Runtime."""

    @staticmethod
    def shape(job: Job) -> tuple[str, int, int]:
        """Requests of equal shape fit one call: padding to the largest of them costs little."""
        length = 1 if isinstance(job.who, (str, int)) else len(job.who)
        size = job.k if isinstance(job, RecommendJob) else len(job.candidates)
        return type(job).__name__, max(length, 255).bit_length(), max(size, 63).bit_length()

    def answer(self, jobs: Sequence[Job]) -> list[Answer]:
        """One answer a job; all jobs have one shape."""
        ranking = [job for job in jobs if isinstance(job, RecommendJob)]
        scoring = [job for job in jobs if isinstance(job, ScoreJob)]
        return [*self._ranked(ranking), *self._scored(scoring)]

    def _ranked(self, jobs: Sequence[RecommendJob]) -> list[list[Recommended]]:
        most = max((job.k for job in jobs), default=0)
        lists = self.recommend_batch([job.who for job in jobs], most)
        return [items[: job.k] for job, items in zip(jobs, lists, strict=True)]

    def _scored(self, jobs: Sequence[ScoreJob]) -> list[Scored]:
        if not jobs:
            return []
        session, padding = self._session("score.onnx"), self.bundle.padding
        width = max(len(job.candidates) for job in jobs)
        padded = [[*job.candidates, *[padding] * (width - len(job.candidates))] for job in jobs]
        candidates = np.array(padded, dtype=object if self.bundle.id_kind == "string" else np.int64)
        inputs = {**self._who([job.who for job in jobs]), "candidates": candidates.reshape(len(jobs), width)}
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, (output.tolist() for output in session.run(None, inputs)), strict=True))
        scores = outputs.pop("scores")
        return [
            Scored(scores[row][:n], {name: values[row][:n] for name, values in outputs.items()})
            for row, n in enumerate(len(job.candidates) for job in jobs)
        ]
