"""Recommendations of finished runs and their exports, for the page Recommend and for scripts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p5core.data.storage import read_dataset
from p5core.workflows.item_search import ItemSearch
from p5ui.pages.recommend.pictures import picture_column, picture_source
from p5ui.workspace.cache import Cache
from p5ui.workspace.workspace import Workspace

if TYPE_CHECKING:
    from p5core.workflows.recommend import Recommendation, Recommender
    from p5export.runtime import OnnxRecommender, Recommended

__all__ = ["Agreement", "Answer", "Answers", "Line", "agreement", "as_html"]

KEPT = 4
"""Number of runs kept in memory."""

N_REASONS = 2


@dataclass(frozen=True)
class Line:
    """One recommended item."""

    item: str
    title: str
    score: float
    reasons: tuple[str, ...] = ()
    """titles of the history items that pulled it up, strongest first"""

    image: str | None = None
    """source for an <img> element"""


@dataclass(frozen=True)
class Answer:
    """A list of recommendations and its source."""

    name: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Agreement:
    """The agreement of two lists."""

    n: int
    n_same: int
    """items of both lists"""

    is_same_order: bool
    """equal items in equal places, apart from equal scores"""

    worst: float
    """largest difference of two scores of one item"""


class Answers:
    """Asks the runs of a working folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._networks: Cache[Recommender] = Cache(KEPT, self._load_network)
        self._exports: Cache[OnnxRecommender] = Cache(KEPT, _load_export)
        self._searches: Cache[ItemSearch] = Cache(KEPT, lambda folder: ItemSearch(read_dataset(folder)))

    def search(self, name: str) -> ItemSearch:
        """The items of a run."""
        return self._searches.get(self._workspace.run(name).data / "target", "items.parquet")

    def has_export(self, name: str) -> bool:
        """True if a run was exported."""
        return (self._workspace.run(name).path / "export" / "p5.json").is_file()

    def any_user(self, name: str) -> str:
        """A random user of a run's data."""
        return str(random.choice(self.search(name).dataset.users.ids))

    def history(self, name: str, user: str) -> list[str]:
        """Item ids of a user's history, oldest first; empty for an unknown user."""
        dataset = self.search(name).dataset
        code = int(dataset.users.encode([user.strip()])[0])
        return [] if code < 0 else [str(item) for item in dataset.catalogue.decode(dataset.events.histories[code])]

    def network(self, name: str, history: Sequence[str], user: str, k: int) -> Answer:
        """Recommendations of the network of a run, with reasons; for the user if one is given."""
        recommendations = self.recommendations(name, history, user, k)
        search, lines = self.search(name), []
        images = self._pictures(search, [result.item for result in recommendations])
        for item, image in zip(recommendations, images, strict=True):
            reasons = tuple(reason.title or str(reason.item) for reason in item.reasons)
            lines.append(Line(str(item.item), item.title or str(item.item), item.score, reasons, image))
        return Answer(name, lines)

    def recommendations(self, name: str, history: Sequence[str], user: str, k: int) -> list[Recommendation]:
        """The same as the core gives it."""
        run = self._workspace.run(name)
        recommender = self._networks.get(run.path, "manifest.json")
        if user.strip():
            return recommender.recommend_user(user.strip(), k, n_reasons=N_REASONS)
        return recommender.recommend(history, k, n_reasons=N_REASONS)

    def exported(self, name: str, history: Sequence[str], user: str, k: int) -> Answer:
        """Recommendations of the exported model of a run for the same request."""
        model = self._exports.get(self._workspace.run(name).path / "export", "p5.json")
        who: Sequence[str] | str = history
        if user.strip():
            who = self.history(name, user) if model.uses_history else user.strip()
        recommended: list[Recommended] = model.recommend(who, k)
        search, ids = self.search(name), [result.item for result in recommended]
        titles, images = search.titles(ids), self._pictures(search, ids)
        rows = zip(recommended, titles, images, strict=True)
        return Answer(f"{name}: ONNX", [Line(str(row.item), title, row.score, (), image) for row, title, image in rows])

    def _pictures(self, search: ItemSearch, ids: Sequence[Any]) -> list[str | None]:
        """The picture of each of these items, if items have pictures."""
        catalogue = search.dataset.catalogue
        column = picture_column(catalogue.frame)
        if column is None:
            return [None] * len(ids)
        from p5core.data.ids import ItemIds

        texts = catalogue.frame[column].iloc[ItemIds.of(search.dataset).find(list(ids))]
        return [picture_source(self._workspace, result) for result in texts]

    def _load_network(self, folder: Path) -> Recommender:
        from p5core.workflows.recommend import Recommender

        return Recommender.load(folder, self._workspace.registry)


def _load_export(folder: Path) -> OnnxRecommender:
    from p5export.runtime import OnnxRecommender

    return OnnxRecommender(folder, threads=1)


def agreement(first: Answer, other: Answer) -> Agreement:
    """Compare two lists; places may be exchanged where scores are equal."""
    from p5export.validation.verify import close

    scores = {line.item: line.score for line in other.lines}
    shared = [line for line in first.lines if line.item in scores]
    gaps = [abs(line.score - scores[line.item]) for line in shared]
    pairs = [(left, right) for left, right in zip(first.lines, other.lines, strict=False) if left.item != right.item]
    moved = any(not close(np.array(left.score), np.array(right.score)).all() for left, right in pairs)
    is_same = len(first.lines) == len(other.lines) and not moved
    return Agreement(len(first.lines), len(shared), is_same, max(gaps, default=0.0))


def as_html(answer: Answer, heading: str, because: str) -> str:
    """A list for people; every text that comes from data is escaped."""
    rows = "".join(_row(line, because) for line in answer.lines)
    return f'<section class="answer"><h3>{escape(heading)}</h3><ol>{rows}</ol></section>'


def _row(line: Line, because: str) -> str:
    image = f'<img src="{escape(line.image)}" alt="" loading="lazy" referrerpolicy="no-referrer">' if line.image else ""
    reasons = f"<small>{escape(because)} {escape(' · '.join(line.reasons))}</small>" if line.reasons else ""
    return (
        f'<li data-item="{escape(line.item)}">{image}<span class="what"><b>{escape(line.title)}</b>{reasons}</span>'
        f'<span class="score">{line.score:.3f}</span></li>'
    )
