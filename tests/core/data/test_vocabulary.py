"""Raw ids stay what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p5core.data.vocabulary import PAD_INT, Vocabulary
from p5core.errors import DataError

texts = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=20)
integers = st.lists(st.integers(PAD_INT + 1, 2**63 - 1), unique=True, max_size=20)


@given(texts)
def test_texts_come_back(ids: list[str]) -> None:
    vocabulary = Vocabulary.of(pd.Index(ids, dtype=object))
    codes = vocabulary.encode(ids)
    assert codes.dtype == np.int32
    assert codes.tolist() == list(range(len(ids)))
    assert vocabulary.decode(codes) == ids
    assert vocabulary.kind == "string"


@given(integers)
def test_integers_come_back_from_numbers_and_from_text(ids: list[int]) -> None:
    vocabulary = Vocabulary.of(np.array(ids, dtype=np.int64))
    for raw in (ids, np.array(ids, dtype=np.int64), [str(one) for one in ids], [*ids, None][: len(ids)]):
        assert vocabulary.encode(raw).tolist() == list(range(len(ids)))
    assert vocabulary.decode(np.arange(len(ids))) == ids
    assert all(type(one) is int for one in vocabulary.decode(np.arange(len(ids))))
    assert vocabulary.kind == "int64"


@given(st.integers(-50, 50), st.integers(-50, 50) | st.floats(-50, 50) | st.sampled_from([True, "0x1", "1_0", "--1"]))
def test_an_integer_is_found_exactly_when_it_is_equal(known: int, raw: object) -> None:
    is_equal = not isinstance(raw, (str, bool)) and raw == known
    assert (Vocabulary.of([known]).encode([raw])[0] == 0) == is_equal


def test_neighbouring_large_integers_are_told_apart_beside_missing_ones() -> None:
    large = 2**53
    vocabulary = Vocabulary.of(np.array([large, large + 1], dtype=np.int64))
    assert vocabulary.encode([large + 1, None, str(large), "x", large + 2]).tolist() == [1, -1, 0, -1, -1]


@pytest.mark.parametrize("raw", ["12.7", "1e1", "", "x", None, float("nan"), float("inf"), 12.5, 2**63, 2**70, PAD_INT])
def test_what_is_no_integer_is_unknown(raw: object) -> None:
    assert Vocabulary.of([12, 1, 10]).encode([raw]).tolist() == [-1]


@pytest.mark.parametrize("raw", [12, "12", " 12 ", "+12", 12.0, "12.0", np.int32(12), np.float64(12), "012"])
def test_what_reads_as_the_integer_is_known(raw: object) -> None:
    assert Vocabulary.of([1, 12]).encode([raw]).tolist() == [1]


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint64", "int64", "Int64", "float64", "str"])
def test_arrays_of_any_type_are_encoded(dtype: str) -> None:
    assert Vocabulary.of([5, 7]).encode(pd.Index([7, 5, 6]).astype(dtype)).tolist() == [1, 0, -1]


def test_a_text_vocabulary_is_asked_with_anything() -> None:
    vocabulary = Vocabulary.of(["5", "x", "nan", "None"])
    assert vocabulary.encode([5, "x", None, float("nan"), "", "y"]).tolist() == [0, 1, -1, -1, -1, -1]


def test_nothing_is_encoded_as_nothing() -> None:
    for ids in (["a"], [1]):
        assert Vocabulary.of(ids).encode([]).tolist() == []
        assert Vocabulary.of(ids).decode(np.zeros(0, dtype=np.int32)) == []


def test_an_id_may_not_occur_twice() -> None:
    with pytest.raises(DataError, match="The id 'a' occurs twice in a vocabulary; ids must be unique"):
        Vocabulary.of(["a", "b", "a"])


@pytest.mark.parametrize("ids", [["a", ""], [1, PAD_INT]])
def test_padding_is_no_id(ids: list[object]) -> None:
    with pytest.raises(DataError, match=r"Empty text and -9223372036854775808 fill unused places of histories"):
        Vocabulary.of(ids)
