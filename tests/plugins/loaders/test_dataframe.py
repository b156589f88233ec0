"""DataFrames from Python."""

from __future__ import annotations

import pandas as pd
import pytest

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.errors import DataError
from p5plugins.loaders.dataframe import InMemory, InMemoryConfig

EVENTS = pd.DataFrame({"userId": [1, 2], "sku": ["a", "b"], "stars": [4.0, 5.0], "other": [0, 0]})


def test_columns_are_guessed_and_the_frame_is_left_alone():
    before = EVENTS.copy()
    raw = InMemory(InMemoryConfig(interactions=EVENTS)).load()
    assert raw.interactions.to_dict("list") == {
        "user": [1, 2],
        "item": ["a", "b"],
        "rating": [4.0, 5.0],
        "other": [0, 0],
    }
    assert raw.notes == ("guessed columns: user = 'userId', item = 'sku', rating = 'stars'",)
    pd.testing.assert_frame_equal(EVENTS, before)


def test_columns_domain_and_unit_can_be_named():
    raw = InMemory(
        InMemoryConfig(interactions=EVENTS, user="other", item="sku", rating="", domain="books", time_unit="ms")
    ).load()
    assert raw.interactions[["user", "item", "domain"]].to_dict("list") == {
        "user": [0, 0],
        "item": ["a", "b"],
        "domain": ["books"] * 2,
    }
    assert "rating" not in raw.interactions
    assert raw.time_unit == "ms"


def test_items_and_users_are_joined_by_preparation():
    items = pd.DataFrame({"sku": ["b", "a"], "name": ["Bee", "Ant"], "tags": [["x"], ["y", "z"]]})
    users = pd.DataFrame({"userId": [1, 2], "age": [30, 40]})
    raw = InMemory(InMemoryConfig(interactions=EVENTS, items=items, users=users)).load()
    dataset, _ = prepare(raw, PrepareConfig(min_user_events=1))
    assert dataset.catalogue.frame["title"].tolist() == ["Ant", "Bee"]
    assert list(dataset.catalogue.frame["tags"][0]) == ["y", "z"]
    assert dataset.user_frame["age"].tolist() == [30, 40]


def test_without_a_frame_there_is_nothing_to_load():
    with pytest.raises(DataError, match="The loader 'dataframe' has no interactions: give it a DataFrame"):
        InMemory(InMemoryConfig()).load()


def test_two_columns_of_one_name_are_refused():
    twice = pd.DataFrame([[1, 2, 3]], columns=["user", "item", "item"])
    with pytest.raises(DataError, match="the DataFrame has 2 columns 'item'"):
        InMemory(InMemoryConfig(interactions=twice)).load()


def test_repeated_items_are_refused():
    items = pd.DataFrame({"item": ["a", "a"], "year": [1999, 2000]})
    with pytest.raises(DataError, match=r"the items DataFrame, column 'item': the id 'a' stands in row 1 and in row 2"):
        InMemory(InMemoryConfig(interactions=EVENTS, items=items)).load()


def test_frames_are_neither_stored_nor_asked_for_in_a_form():
    config = InMemoryConfig(interactions=EVENTS, user="userId")
    assert config.model_dump(mode="json", exclude_defaults=True) == {"user": "userId"}
    assert "interactions" not in InMemoryConfig.model_json_schema()["properties"]
