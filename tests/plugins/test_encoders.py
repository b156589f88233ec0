"""Item encoders: what they read from the catalogue, and how they go on with another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from p5core.config.base import Config, parse_config
from p5core.contracts.encoder import Encoder
from p5core.data.catalogue import Catalogue, Entities, Users
from p5core.errors import ConfigError, DataError
from p5core.model.item_embeddings import EntityEmbeddings
from p5plugins.encoders.categories import Categories, CategoriesConfig
from p5plugins.encoders.id import IdEmbedding
from p5plugins.encoders.numbers import Numbers, NumbersConfig


def catalogue(**columns: list[object]) -> Catalogue:
    """A catalogue with items "a", "b", … and feature columns."""
    n = len(next(iter(columns.values())))
    items = pd.Series([chr(ord("a") + code) for code in range(n)], dtype="str")
    features = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    return Catalogue(pd.DataFrame({"item": items, "domain": "default", **features}))


def build(part: type[Any], config: Config, items: Entities, width: int = 4) -> Any:
    """An encoder of all items, as a run makes it."""
    return part(config, part.features(config, items), width)


def categories(items: Catalogue, *columns: str, separator: str = "|") -> Categories:
    return build(Categories, CategoriesConfig(columns=list(columns), separator=separator), items)


def numbers(values: list[object]) -> Numbers:
    return build(Numbers, NumbersConfig(columns=["price"]), catalogue(price=values))


def row(encoder: nn.Module, label: str) -> torch.Tensor:
    """The vector of one labelled value."""
    return encoder.embedding.weight[encoder.row_labels()["embedding.weight"].index(label)]


def inputs(encoder: Numbers) -> torch.Tensor:
    """What the linear map of a one-column encoder reads: number and flag, (V, 2)."""
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.weight[0, 0] = encoder.weight[1, 1] = 1
    return encoder(torch.arange(encoder.n_rows))[:, :2].detach()


def test_id_vectors_are_small_and_labelled_by_item() -> None:
    items = catalogue(genre=["x"] * 20)
    encoder = build(IdEmbedding, IdEmbedding.Config(), items, 400)
    assert encoder.embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert encoder.row_labels()["embedding.weight"] == "item"
    assert build(IdEmbedding, IdEmbedding.Config(), Users(pd.DataFrame({"user": [1]}))).row_labels() == {
        "embedding.weight": "user"
    }


def test_a_list_a_text_and_a_single_value_mean_the_same() -> None:
    encoder = categories(catalogue(genre=[["x", "y"], "x|y", np.array(["y", "x"]), " x | y |", "x"]), "genre")
    vectors = encoder(torch.arange(5))
    both = (row(encoder, "genre=x") + row(encoder, "genre=y")) / 2
    for code in range(4):
        torch.testing.assert_close(vectors[code], both)
    torch.testing.assert_close(vectors[4], row(encoder, "genre=x"))


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, pd.NaT, "", " | ", [], [None, ""]])
def test_a_missing_value_has_a_vector_of_its_own(empty: object) -> None:
    encoder = categories(catalogue(genre=["x", empty], brand=[empty, "x"]), "genre", "brand")
    assert encoder.row_labels()["embedding.weight"] == ["genre=x", "genre is missing", "brand is missing", "brand=x"]
    wanted = (row(encoder, "genre is missing") + row(encoder, "brand=x")) / 2
    torch.testing.assert_close(encoder(torch.tensor([1]))[0], wanted)


def test_columns_count_the_same_however_many_values_they_hold() -> None:
    encoder = categories(catalogue(genre=["x|y|z"], brand=["b"]), "genre", "brand")
    genres = sum(row(encoder, f"genre={value}") for value in "xyz") / 3
    torch.testing.assert_close(encoder(torch.tensor([0]))[0], (genres + row(encoder, "brand=b")) / 2)


def test_repeated_values_count_once_and_whole_numbers_read_alike() -> None:
    encoder = categories(catalogue(year=[1999, 1999.0, "1999", [1999, "1999"], 1999.5]), "year")
    assert encoder.row_labels()["embedding.weight"] == ["year=1999", "year=1999.5"]


def test_another_separator() -> None:
    encoder = categories(catalogue(tags=["a|b, c"]), "tags", separator=",")
    assert encoder.row_labels()["embedding.weight"] == ["tags=a|b", "tags=c"]


@given(st.lists(st.lists(st.sampled_from("pqrst")), min_size=1, max_size=8), st.data())
def test_any_selection_of_items_equals_averaging_one_by_one(cells: list[object], data: st.DataObject) -> None:
    encoder = categories(catalogue(genre=cells), "genre")
    codes = data.draw(st.lists(st.integers(0, len(cells) - 1), max_size=10))
    vectors = encoder(torch.tensor(codes, dtype=torch.int64))
    assert vectors.shape == (len(codes), 4)
    for code, vector in zip(codes, vectors, strict=True):
        labels = [f"genre={value}" for value in set(cells[code])] or ["genre is missing"]
        torch.testing.assert_close(vector, torch.stack([row(encoder, label) for label in labels]).mean(dim=0))


def test_content_is_not_stored_with_the_weights() -> None:
    items = catalogue(genre=["x"], price=[1])
    assert set(categories(items, "genre").state_dict()) == {"embedding.weight"}
    assert set(build(Numbers, NumbersConfig(columns=["price"]), items).state_dict()) == {
        "weight",
        "bias",
        "median",
        "scale",
    }


@pytest.mark.parametrize(("part", "config"), [(Categories, CategoriesConfig), (Numbers, NumbersConfig)])
def test_an_unknown_column_is_named_with_those_there_are(part: type[Encoder], config: type[Any]) -> None:
    items = catalogue(genre=["x"], price=[1])
    with pytest.raises(ConfigError, match=rf"'{part.name}': .*'genres'\. Did you mean 'genre'\? Found: genre, price\."):
        build(part, config(columns=["genres"]), items)


def test_items_without_features_ask_for_an_items_table() -> None:
    bare = Catalogue(pd.DataFrame({"item": [1, 2], "domain": "default"}))
    with pytest.raises(ConfigError, match="no feature columns: load a table of items"):
        categories(bare, "genre")


def test_columns_are_required() -> None:
    with pytest.raises(ConfigError, match=r"encoder categories\.columns: this option is required"):
        parse_config(CategoriesConfig, {}, "encoder categories")


def test_numbers_are_standardised_by_median_and_quartiles() -> None:
    encoder = numbers([0, 1, 2, 3, 4])
    assert inputs(encoder)[:, 0].tolist() == pytest.approx([-1.349, -0.6745, 0, 0.6745, 1.349])
    assert inputs(encoder)[:, 1].tolist() == [0] * 5


def test_a_missing_number_is_the_median_with_a_flag() -> None:
    encoder = numbers([1, "3", None, "", float("nan"), 5])
    assert encoder.median.item() == 3
    assert inputs(encoder)[2:5].tolist() == [[0, 1]] * 3


def test_a_wild_number_is_bounded() -> None:
    assert inputs(numbers([1, 2, 3, 4, 1e9]))[4, 0] == 5


def test_equal_quartiles_fall_back_to_the_deviation() -> None:
    column = [0] * 9 + [10]
    assert numbers(column).scale.item() == pytest.approx(np.std(column))


def test_a_constant_column_says_nothing_but_its_flag() -> None:
    assert inputs(numbers([7, 7, None])).tolist() == [[0, 0], [0, 0], [0, 1]]


@pytest.mark.parametrize("wrong", ["cheap", float("inf"), "-inf"])
def test_what_is_no_finite_number_is_named_with_its_item(wrong: object) -> None:
    with pytest.raises(DataError, match=rf"Column 'price' holds '{wrong}' for 'b', which is no finite number"):
        numbers([1, wrong, 3])


def test_a_column_without_numbers_is_an_error() -> None:
    with pytest.raises(DataError, match="Column 'price' holds no number at all"):
        numbers([None, ""])


def test_the_rows_of_numbers_are_labelled_by_column() -> None:
    items = catalogue(price=[1, 2], year=[3, 4])
    labels = build(Numbers, NumbersConfig(columns=["price", "year"]), items).row_labels()
    assert labels["weight"] == ["price", "year", "price is missing", "year is missing"]
    assert labels["median"] == labels["scale"] == ["price", "year"]


def test_the_vectors_of_several_encoders_are_summed() -> None:
    items = catalogue(genre=["x", "y"])
    identity, content = build(IdEmbedding, IdEmbedding.Config(), items), categories(items, "genre")
    codes = torch.tensor([1, 0, 1])
    torch.testing.assert_close(
        EntityEmbeddings([identity, content], "sum").encode(codes), identity(codes) + content(codes)
    )
