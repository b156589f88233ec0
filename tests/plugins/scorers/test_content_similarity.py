"""Items alike by their content, against a dense brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError
from p5plugins.similarity import content_similarity as module
from p5plugins.similarity import sparse
from p5plugins.similarity.content_similarity import content_columns, content_similarity

WORDS = ["red", "blue", "lamp", "chair", "Art"]


def catalogue(**columns: list[Any]) -> Catalogue:
    n_items = len(next(iter(columns.values())))
    frame = pd.DataFrame({"item": [f"i{code}" for code in range(n_items)], "domain": "default", **columns})
    return Catalogue(frame)


def brute_force(cells: list[list[str]]) -> npt.NDArray[np.float64]:
    """Squared cosines of tf-idf vectors, rows of sum 1."""
    names = sorted({word.lower() for cell in cells for word in cell})
    held = np.array([[float(name in {word.lower() for word in cell}) for name in names] for cell in cells])
    held = held.reshape(len(cells), len(names))
    weighted = held * np.log(len(cells) / np.maximum(held.sum(axis=0), 1))
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9)
    squared: npt.NDArray[np.float64] = (weighted @ weighted.T) ** 2
    np.fill_diagonal(squared, 0)
    squared /= np.maximum(squared.sum(axis=1, keepdims=True), 1e-30)
    return squared


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=4), min_size=1, max_size=9), st.integers(1, 50))
def test_it_is_the_squared_cosine_of_weighted_values_in_blocks_of_any_size(cells: list[list[str]], n: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "PAIRS_AT_ONCE", n)
        for column in ([*map(" ".join, cells)], cells):
            found = content_similarity(catalogue(what=column), None)
            dense = np.zeros((len(cells), len(cells))) if found is None else found.toarray()
            assert dense == pytest.approx(brute_force(cells), abs=1e-5)


def test_titles_lists_and_texts_count_and_numbers_do_not() -> None:
    items = catalogue(
        title=["Star Wars", "Star Trek", "Alien", None],
        tags=[["space"], ["space"], ["horror"], ["space"]],
        price=[1.0, 2.0, 1.0, 2.0],
    )
    assert content_columns(items, None) == ["title", "tags"]
    found = content_similarity(items, None)
    assert found is not None
    assert found.toarray()[0].argmax() == 1
    assert found.toarray()[3].tolist() == pytest.approx([0.5, 0.5, 0, 0])
    assert found.toarray()[2].sum() == 0
    by_price = content_similarity(items, ["price"])
    assert by_price is not None
    assert by_price.toarray()[0].argmax() == 2
    assert content_similarity(items, []) is None


def test_values_of_too_many_items_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    items = catalogue(tags=[["all", "pair"], ["all", "pair"], ["all", "other"], ["other", "x"]])
    monkeypatch.setattr(module, "PAIRS_AT_MOST", 2 * 2**2 + 1)
    found = content_similarity(items, None)
    assert found is not None
    assert found.toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no column 'genre'. Did you mean 'genres'\? Found: genres"):
        content_columns(catalogue(genres=["a"]), ["genre"])
    with pytest.raises(ConfigError, match="load an items table"):
        content_columns(Catalogue(pd.DataFrame({"item": [1], "domain": "default"})), ["genre"])
