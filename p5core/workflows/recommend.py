"""Recommendations from a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.data.dataset import Dataset, Ragged
from p5core.data.ids import ItemIds
from p5core.errors import DataError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.model.network_scorer import NetworkScorer
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import open_run
from p5core.runs.run import Run

__all__ = ["Reason", "Recommendation", "Recommender"]

N_EXPLAINED = 20
"""History items, newest first, whose influence is measured for a reason."""


@dataclass(frozen=True)
class Reason:
    """A history item that pulled a recommendation up."""

    item: str | int
    title: str | None
    gain: float
    """decrease of the score without this item"""


@dataclass(frozen=True)
class Recommendation:
    """One item of a list."""

    item: str | int
    score: float
    title: str | None = None
    reasons: tuple[Reason, ...] = ()
    """strongest first; empty when no history item pulled it up, or when nobody asked"""

    domain: str | None = None
    """domain, if the run has events of several"""


class Recommender:
    """Recommends with the network of a finished run."""

    def __init__(self, dataset: Dataset, scorer: NetworkScorer, uses_history: bool, exclude_seen: bool = True) -> None:
        self._dataset = dataset
        self._ids = ItemIds.of(dataset)
        self._scorer = scorer
        self._uses_history = uses_history
        self._exclude_seen = exclude_seen

    @classmethod
    def load(cls, run: Run | Path | str, registry: Registry | None = None) -> Recommender:
        """Read a run, or its folder; raises RunError when it is not finished or was changed."""
        registry = registry or load_plugins()
        folder = run if isinstance(run, Run) else open_run(Path(run))
        folder.verify()
        data = load_run_data(folder, registry)
        model = load_model(folder, data, registry)
        exclude_seen = data.experiment.evaluate.exclude_seen
        return cls(data.target.dataset, model.scorer(), model.network.backbone.uses_history, exclude_seen)

    def recommend(
        self,
        history: Sequence[str | int],
        k: int = 10,
        *,
        domain: str | None = None,
        exclude_seen: bool | None = None,
        n_reasons: int = 0,
    ) -> list[Recommendation]:
        """The `k` best items for a history of raw ids, oldest first; unknown ids are skipped.

        Items of the history are left out as they were in evaluation, or as `exclude_seen` says.

        Ids are looked up in the domains that the run has events of, or in `domain`. A history without known ids gets
        the popular items. Raises DataError for a model that knows users alone, and for an id that domains share.
        """
        return self._recommend(-1, self._codes(history, domain), k, exclude_seen, n_reasons)

    def recommend_user(
        self, user: str | int, k: int = 10, *, exclude_seen: bool | None = None, n_reasons: int = 0
    ) -> list[Recommendation]:
        """The `k` best items for a user of the data; raises DataError when the user is unknown."""
        code = self._user(user)
        return self._recommend(code, self._dataset.events.histories[code], k, exclude_seen, n_reasons)

    def history(self, user: str | int) -> list[tuple[str | int, str | None]]:
        """Raw ids and titles of the items of a user, oldest first."""
        codes = self._dataset.events.histories[self._user(user)]
        titles = self._titles(codes)
        return list(zip(self._dataset.catalogue.decode(codes), titles, strict=True))

    def unknown(self, history: Sequence[str | int], *, domain: str | None = None) -> list[str | int]:
        """The raw ids of a history that name no item."""
        codes = self._ids.encode(list(history), domain)
        return [raw for raw, code in zip(history, codes, strict=True) if code < 0]

    def score(
        self, history: Sequence[str | int], candidates: Sequence[str | int], *, domain: str | None = None
    ) -> list[float]:
        """Scores of candidate items for a history; raises DataError for an unknown candidate."""
        codes = self._ids.encode(list(candidates), domain)
        if (codes < 0).any():
            raise DataError(f"Unknown item {candidates[int(np.argmax(codes < 0))]!r} among the candidates.")
        scores = self._scores(-1, [self._codes(history, domain)])[0]
        return [float(score) for score in scores[codes]]

    def _codes(self, history: Sequence[str | int], domain: str | None) -> npt.NDArray[np.int32]:
        """Codes of the known items of a history, for a model that reads one."""
        if not self._uses_history:
            raise DataError(
                "This model represents users by trained vectors and reads no history. Ask for a known user instead."
            )
        codes = self._ids.encode(list(history), domain)
        return codes[codes >= 0]

    def _user(self, user: str | int) -> int:
        code = int(self._dataset.users.encode([user])[0])
        if code < 0:
            examples = ", ".join(str(example) for example in self._dataset.users.ids[:3])
            raise DataError(
                f"Unknown user {user!r}. The data has {len(self._dataset.users)} users, such as {examples}."
            )
        return code

    def _titles(self, codes: npt.NDArray[np.integer[Any]]) -> list[str] | list[None]:
        return self._dataset.catalogue.titles(codes) or [None] * len(codes)

    def _scores(self, user: int, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        """(n, V) scores of several histories of one user."""
        users = np.full(len(histories), user, dtype=np.int32)
        computed = self._scorer.scores(users, Ragged.of([history.tolist() for history in histories]))
        scores: npt.NDArray[np.float32] = computed.cpu().numpy()
        return scores

    def _recommend(
        self, user: int, history: npt.NDArray[np.int32], k: int, exclude_seen: bool | None, n_reasons: int
    ) -> list[Recommendation]:
        scores = self._scores(user, [history])[0].copy()
        if not self._ids.is_whole:
            scores[np.setdiff1d(np.arange(len(scores)), self._ids.codes)] = -np.inf
        if self._exclude_seen if exclude_seen is None else exclude_seen:
            scores[history] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        best = best[np.isfinite(scores[best])]
        reasons = self._reasons(user, history, best, n_reasons)
        titles = self._titles(best)
        items = self._dataset.catalogue.decode(best)
        return [
            Recommendation(item, float(scores[code]), title, why, domain)
            for item, code, title, why, domain in zip(
                items, best, titles, reasons, self._ids.domains_of(best), strict=True
            )
        ]

    def _reasons(
        self, user: int, history: npt.NDArray[np.int32], best: npt.NDArray[np.int64], n_reasons: int
    ) -> list[tuple[Reason, ...]]:
        """The decrease of each score when one history item is left out."""
        recent = list(dict.fromkeys(history[::-1].tolist()))[:N_EXPLAINED]
        if not n_reasons or not self._uses_history or len(recent) < 2:
            return [()] * len(best)
        without = self._scores(user, [history, *(history[history != item] for item in recent)])[:, best]
        gains = without[0] - without[1:]  # (n_recent, k)
        return [self._strongest(recent, gains[:, place], n_reasons) for place in range(len(best))]

    def _strongest(self, items: list[int], gains: npt.NDArray[np.float32], n: int) -> tuple[Reason, ...]:
        order = [place for place in np.argsort(-gains)[:n] if gains[place] > 0]
        codes = np.array([items[place] for place in order], dtype=np.int64)
        raw, titles = (
            self._dataset.catalogue.decode(codes),
            self._titles(codes),
        )
        return tuple(
            Reason(item, title, float(gains[place])) for item, title, place in zip(raw, titles, order, strict=True)
        )
