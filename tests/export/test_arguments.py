"""What is no id, history or number of items is refused, and answers come from one version of the files."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest

from p5core.errors import ExportError
from p5export.runtime import OnnxRecommender

NO_LISTS = [
    None,
    "abc",
    5,
    b"abc",
    {"a"},
    {"a": 1},
    np.array([["a"]]),
    (one for one in "ab"),
    pd.DataFrame({"a": ["b"]}),
]

WRONG_IDS = [
    5.9,
    5.0,
    np.float32(5),
    True,
    np.True_,
    None,
    b"5",
    float("nan"),
    float("inf"),
    [5],
    {"a": 1},
    np.timedelta64(5),
]


@pytest.mark.parametrize("wrong", WRONG_IDS, ids=repr)
def test_what_is_no_id_never_becomes_one(wrong: object, histories: tuple[Path, Path], users: tuple[Path, Path]) -> None:
    of_texts, of_numbers = OnnxRecommender(histories[1]), OnnxRecommender(users[1])
    for ask in (
        lambda: of_texts.recommend([wrong]),  # type: ignore[list-item]
        lambda: of_texts.score([], [wrong]),  # type: ignore[list-item]
        lambda: of_numbers.recommend(wrong),  # type: ignore[arg-type]
        lambda: of_numbers.score(1, [wrong]),  # type: ignore[list-item]
    ):
        with pytest.raises(ExportError, match=r"The ids of this model are|represents users by trained vectors"):
            ask()


@pytest.mark.parametrize("wrong", ["\u0665", "1_0", " 5", "5.0", "", "1e3", 2**63, -(2**63) - 1])
def test_a_text_that_is_no_whole_number_names_no_integer_id(wrong: object, users: tuple[Path, Path]) -> None:
    with pytest.raises(ExportError, match=r"64-bit integers; got"):
        OnnxRecommender(users[1]).score(1, [wrong])  # type: ignore[list-item]


@pytest.mark.parametrize("place", range(len(NO_LISTS)))
def test_what_is_no_history_is_refused(place: int, histories: tuple[Path, Path]) -> None:
    with pytest.raises(ExportError, match="A history is a list of item ids, oldest first; got"):
        OnnxRecommender(histories[1]).recommend(NO_LISTS[place])  # type: ignore[arg-type]


@pytest.mark.parametrize("place", range(len(NO_LISTS)))
def test_what_are_no_candidates_is_refused(place: int, histories: tuple[Path, Path]) -> None:
    with pytest.raises(ExportError, match="Candidates are a list of item ids; got"):
        OnnxRecommender(histories[1]).score([], NO_LISTS[place])  # type: ignore[arg-type]


def test_what_are_no_histories_is_refused(histories: tuple[Path, Path]) -> None:
    for wrong in (None, "abc", 5, {"a"}, {"a": 1}):
        with pytest.raises(ExportError, match="Give a list of histories; got"):
            OnnxRecommender(histories[1]).recommend_batch(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, "3", 2.7, True, -1, float("inf")], ids=repr)
def test_what_is_no_number_of_items_is_refused(wrong: object, histories: tuple[Path, Path]) -> None:
    with pytest.raises(ExportError, match=r"k is .*; ask for 0 items or more, as a whole number"):
        OnnxRecommender(histories[1]).recommend([], wrong)  # type: ignore[arg-type]


def test_arrays_and_larger_numbers_of_items_are_taken(histories: tuple[Path, Path], users: tuple[Path, Path]) -> None:
    model = OnnxRecommender(histories[1])
    known = [one.item for one in model.recommend([], 3)]
    assert model.recommend(np.array(known)) == model.recommend(pd.Series(known)) == model.recommend(tuple(known))
    assert len(model.recommend([], 2**70)) == len(model.recommend([], np.int64(40))) == 40
    user = OnnxRecommender(users[1])
    assert user.recommend("3") == user.recommend(3) == user.recommend(np.int32(3))


def test_answers_of_one_object_come_from_one_version(
    histories: tuple[Path, Path], users: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copytree(histories[1], tmp_path / "export")
    model, same = OnnxRecommender(folder), OnnxRecommender(folder)
    before = model.recommend([], 3)
    touched = copytree(histories[1], tmp_path / "equal")
    (touched / "score.onnx").rename(folder / "score.onnx")  # an equal file is the same version
    assert same.score([], [before[0].item])[0] == pytest.approx(before[0].score)
    for path in users[1].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ExportError, match=r"holds other files than when it was opened. Open it again"):
        model.score([], ["a"])
    assert model.recommend([], 3) == before
    unchecked = OnnxRecommender(copytree(histories[1], tmp_path / "unchecked"), check=False)
    (tmp_path / "unchecked" / "score.onnx").write_bytes((users[1] / "score.onnx").read_bytes())
    with pytest.raises(ExportError, match="holds other files than when it was opened"):
        unchecked.score([], ["a"])
