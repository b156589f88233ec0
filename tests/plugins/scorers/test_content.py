"""Neighbours by content, against a calculation by hand, and items that nobody had yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Ragged
from p5core.errors import ConfigError, DataError
from p5plugins.scorers import content as module
from p5plugins.scorers.content import Content, ContentConfig
from p5plugins.similarity.nearest import nearest
from p5plugins.texts.vectors import TextConfig, text_features

USER = np.array([0], dtype=np.int32)
TITLES = ["red lamp", "blue lamp", "red chair", "steel table", "steel chair", "glass bowl", "red glass lamp"]
HISTORIES = [[0, 1, 2], [1, 2, 3], [0, 3, 4], [2, 4]]


def catalogue(**columns: list[Any]) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": range(len(TITLES)), "domain": "default", **columns}))


def tfidf() -> Any:
    words = sorted({word for title in TITLES for word in title.split()})
    held = np.array([[float(word in title.split()) for word in words] for title in TITLES])
    weighted = held * np.log(len(TITLES) / held.sum(axis=0))
    return weighted / np.linalg.norm(weighted, axis=1, keepdims=True)


def fitted(**options: Any) -> Content:
    scorer = Content(ContentConfig.model_validate(options))
    scorer.fit(events_of(HISTORIES), catalogue(title=TITLES))
    return scorer


def test_scores_are_powers_of_cosines_that_fall_with_the_age_of_a_history_item() -> None:
    table = tfidf()
    cosines = table @ table.T
    np.fill_diagonal(cosines, 0)
    scores = fitted(power=3.0, recency=0.5).scores(USER, Ragged.of([[3, 0]]))[0].numpy()
    assert scores == pytest.approx(cosines[0] ** 3 + 0.5 * cosines[3] ** 3, abs=1e-6)


def test_an_item_that_nobody_had_is_recommended_by_its_text() -> None:
    scores = fitted().scores(USER, Ragged.of([[0]]))[0].numpy()
    assert scores.argmax() == 6  # "red glass lamp" has no event
    assert 6 not in events_of(HISTORIES).items


@pytest.mark.parametrize("model", ["tfidf", "wordllama"])
def test_text_vectors_are_compared_by_their_cosine(model: str) -> None:
    vectors = np.asarray(
        text_features(
            TextConfig.model_validate({"columns": ["title"], "model": model}), catalogue(title=TITLES), "t"
        ).arrays["vectors"]
    )
    cosines = np.maximum(vectors @ vectors.T, 0)
    np.fill_diagonal(cosines, 0)
    similarity = fitted(model=model, columns=["title"], power=1.0).similarity.toarray()
    assert similarity == pytest.approx(cosines, abs=1e-5)


def test_only_the_nearest_are_kept() -> None:
    vectors = np.random.default_rng(0).normal(size=(700, 8)).astype(np.float32)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    kept = nearest(vectors, 5)
    for row in range(0, 700, 37):
        best = np.sort(np.argsort(-products[row])[:5])
        assert np.sort(kept[[row]].indices).tolist() == best.tolist()
        assert kept[[row]].toarray()[0, best] == pytest.approx(products[row, best], rel=1e-5)


def test_variants_share_one_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compared = module._cosines
    monkeypatch.setattr(module, "_cosines", lambda *arguments: calls.append(1) or compared(*arguments))
    events, items = events_of(HISTORIES), catalogue(title=TITLES)
    variants = list(Content.fit_variants(ContentConfig(), events, items))
    assert len(calls) == 1
    assert {(scorer.config.power, scorer.config.recency) for scorer in variants} == {
        (2.0, 0.6), (1.0, 0.5), (2.0, 0.7), (2.0, 0.5), (4.0, 0.7),
    }  # fmt: skip
    assert not np.array_equal(variants[1].similarity.data, variants[2].similarity.data)


@pytest.mark.parametrize("options", [{"model": "folder"}, {"folder": "models/bert"}])
def test_a_folder_goes_with_its_model(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match='model = "folder" and the option folder go together'):
        ContentConfig.model_validate(options)


@pytest.mark.parametrize("model", ["words", "tfidf"])
def test_items_that_nothing_tells_apart_are_refused(model: str) -> None:
    scorer = Content(ContentConfig.model_validate({"model": model}))
    with pytest.raises(DataError, match=r"no two items are alike by title"):
        scorer.fit(events_of(HISTORIES), catalogue(title=["same words"] * len(TITLES)))


def test_items_without_content_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="the items have no title and no column that says what they are"):
        Content.check(ContentConfig(), catalogue(price=list(range(7))))
    with pytest.raises(ConfigError, match=r"scorer content: items have no column 'titel'\. Did you mean 'title'"):
        Content.check(ContentConfig(columns=["titel"]), catalogue(title=TITLES))
    monkeypatch.setattr(module, "MOST_ITEMS", 6)
    with pytest.raises(ConfigError, match=r'the limit is 6\. Take model = "words"'):
        Content.check(ContentConfig(model="wordllama"), catalogue(title=TITLES))
    Content.check(ContentConfig(), catalogue(title=TITLES))
