"""The encoder of vectors that were computed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from p5core.contracts.encoder import Features
from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError, DataError
from p5plugins.encoders.vectors import Vectors, VectorsConfig

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
IDS = ["a", "b", "c", "d", "e", "f"]


def catalogue(**columns: list[Any]) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": IDS, "domain": "default", **columns}))


def stored(folder: Path, rows: Any = ROWS, ids: list[str] | None = None) -> VectorsConfig:
    np.save(folder / "rows.npy", rows)
    (folder / "ids.txt").write_text("\n".join(IDS if ids is None else ids) + "\n", encoding="utf-8")
    return VectorsConfig(file=folder / "rows.npy", ids=folder / "ids.txt")


def stored_again(folder: Path) -> VectorsConfig:
    return VectorsConfig(file=folder / "rows.npy", ids=folder / "ids.txt")


def cosines(features: Features) -> Any:
    table = np.asarray(features.arrays["vectors"])
    return table @ table.T


def expected(rows: Any) -> Any:
    centred = rows - rows.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return centred @ centred.T


def test_a_column_and_a_file_give_the_same_vectors(tmp_path: Path) -> None:
    by_column = Vectors.features(VectorsConfig(column="sound"), catalogue(sound=[row.tolist() for row in ROWS]))
    by_text = Vectors.features(VectorsConfig(column="sound"), catalogue(sound=[str(row.tolist()) for row in ROWS]))
    order = [3, 1, 0, 5, 4, 2]
    by_file = Vectors.features(stored(tmp_path, ROWS[order], [IDS[place] for place in order]), catalogue())
    for features in (by_column, by_text, by_file):
        assert cosines(features) == pytest.approx(expected(ROWS), abs=1e-5)


def test_items_without_a_vector_are_zero_and_ids_of_other_items_do_not_matter(tmp_path: Path) -> None:
    features = Vectors.features(stored(tmp_path, ROWS, ["a", "b", "other", "d", "e", "more"]), catalogue())
    table = np.asarray(features.arrays["vectors"])
    assert table.any(axis=1).tolist() == [True, True, False, True, True, False]
    assert cosines(features)[:2, :2] == pytest.approx(expected(ROWS[[0, 1, 3, 4]])[:2, :2], abs=1e-5)


def test_large_vectors_keep_their_directions() -> None:
    features = Vectors.features(VectorsConfig(column="sound"), catalogue(sound=[(row * 1e30).tolist() for row in ROWS]))
    assert cosines(features) == pytest.approx(expected(ROWS), abs=1e-4)


def test_known_items_keep_their_vectors_when_the_table_grows() -> None:
    half = Catalogue(catalogue(sound=[row.tolist() for row in ROWS]).frame.iloc[:4])
    before = Vectors.features(VectorsConfig(column="sound", whiten=True), half)
    whole = catalogue(sound=[row.tolist() for row in ROWS])
    after = Vectors.extend(VectorsConfig(column="sound", whiten=True), whole, before)
    assert after.arrays["vectors"][:4] == pytest.approx(before.arrays["vectors"], abs=1e-5)
    with pytest.raises(ConfigError, match="the vectors have 5 numbers, those of the first run 4"):
        Vectors.extend(VectorsConfig(column="sound"), catalogue(sound=[[0.0, 1, 2, 3, 4]] * 6), before)


@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        (ROWS[:5], IDS, "has 5 rows and .* 6 ids"),
        (ROWS, ["a", "a", "b", "c", "d", "e"], "holds an id twice"),
        (ROWS, ["1", "2", "3", "4", "5", "6"], "no id of .*, such as '1', is one of the data, such as 'a'"),
        (ROWS[0], IDS, r"an array of shape \(4,\)"),
        (np.array([["x"] * 3] * 6), IDS, "It must be a table of numbers"),
        (np.array([[{}]] * 6, dtype=object), IDS, "is no file of numbers"),
        (np.full((6, 2), np.nan), IDS, "no list of finite numbers"),
        (np.zeros((6, 2)), IDS, "holds no vector but zero"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, rows: Any, ids: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vectors.features(stored(tmp_path, rows, ids), catalogue())


def test_ids_may_end_in_any_way_and_are_texts(tmp_path: Path) -> None:
    for text in ("a\nb\nc\nd\ne\nf\n\n\n", "a\r\nb\r\nc\r\nd\r\ne\r\nf", "\ufeffa\nb\nc\nd\ne\nf\n"):
        config = stored(tmp_path)
        (tmp_path / "ids.txt").write_bytes(text.encode())
        assert cosines(Vectors.features(config, catalogue())) == pytest.approx(expected(ROWS), abs=1e-5)
    (tmp_path / "ids.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is no text file in UTF-8"):
        Vectors.features(stored_again(tmp_path), catalogue())
    for damaged in (b"", (tmp_path / "rows.npy").read_bytes()[:-8]):
        config = stored(tmp_path)
        (tmp_path / "rows.npy").write_bytes(damaged)
        with pytest.raises(DataError, match="is no file of numbers"):
            Vectors.features(config, catalogue())


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[1.0, 2.0]] * 5 + [[1.0]], "vectors of 1 and 2 numbers"),
        ([None] * 6, "no vector at all"),
        ([["a", "b"]] * 6, "no list of finite numbers"),
        (["1 2 x"] * 6, "no list of finite numbers"),
        ([[float("inf"), 1.0]] * 6, "no list of finite numbers"),
    ],
)
def test_faulty_columns_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vectors.features(VectorsConfig(column="sound"), catalogue(sound=cells))


@pytest.mark.parametrize("options", [{}, {"column": "a", "file": "b.npy", "ids": "c"}, {"file": "b.npy"}, {"ids": "c"}])
def test_one_source_is_named(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="name either a column, or a file together with its ids"):
        VectorsConfig.model_validate(options)
