"""A prepared data set on disk and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare
from p5core.data.raw import RawData
from p5core.data.storage import read_dataset, write_dataset
from p5plugins.encoders.categories import Categories, CategoriesConfig


def prepared(items: list[Any], **columns: Any) -> Dataset:
    frame = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": [*items, *items[:2]], **columns})
    table = pd.DataFrame(
        {
            "item": items,
            "title": ["A", None, "C"],
            "tags": pd.Series([["x", "y"], [], None], dtype=object),
            "price": [1.5, np.nan, 2.0],
            "pages": pd.array([10, None, 30], dtype="Int64"),
        }
    )
    return prepare(RawData(frame, items=table), PrepareConfig(keep="all", min_user_events=1))[0]


@pytest.mark.parametrize("items", [[2**60 + 1, 2, 3], ["o'neil", "två\n", '"q"']])
@pytest.mark.parametrize("columns", [{}, {"rating": [1, 2, 3, 4, 5]}, {"timestamp": [1e9, 2e9, 1e9, 3e9, 1e9]}])
def test_everything_comes_back(tmp_path: Path, items: list[Any], columns: dict[str, Any]) -> None:
    dataset = prepared(items, **columns)
    write_dataset(tmp_path / "data", dataset)
    found = read_dataset(tmp_path / "data")
    for name in ("offsets", "items", "times"):
        one, other = getattr(dataset.events, name), getattr(found.events, name)
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype
    assert ("rating" in found.events.fields) == ("rating" in columns)
    for name, values in dataset.events.fields.items():
        assert np.array_equal(found.events.fields[name], values)
    assert found.has_clock == ("timestamp" in columns)
    assert found.users.ids.equals(dataset.users.ids)
    assert found.catalogue.index.equals(dataset.catalogue.index)
    assert found.catalogue.id_kind == dataset.catalogue.id_kind
    assert found.catalogue.titles(np.arange(3)) == dataset.catalogue.titles(np.arange(3))
    assert found.catalogue.features == dataset.catalogue.features == ["tags", "price", "pages"]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {
        "items.parquet",
        "users.parquet",
        "events.safetensors",
    }


def test_encoders_read_the_same_from_a_stored_catalogue(tmp_path: Path) -> None:
    dataset = prepared(["a", "b", "c"])
    write_dataset(tmp_path, dataset)
    config = CategoriesConfig(columns=["tags", "pages", "price"])
    before, after = (
        Categories(config, Categories.features(config, one.catalogue), 4) for one in (dataset, read_dataset(tmp_path))
    )
    assert before.row_labels() == after.row_labels()
    for name, values in before.named_buffers():
        assert torch.equal(values, after.get_buffer(name))
