"""Histories as lines of text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p5core.config.base import parse_config
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.data.raw import RawData
from p5core.errors import DataError
from p5plugins.loaders.sequences import Sequences, SequencesConfig


def load(path: Path, **options: Any) -> RawData:
    return Sequences(parse_config(SequencesConfig, {"path": path, **options}, "data")).load()


def test_a_line_is_a_user_and_items_in_order(write, rows):
    raw = load(write("s.txt", "1 10 11\r\n\n 2\t9  10 \n"))
    assert rows(raw).to_dict("list") == {"user": [1, 1, 2, 2], "item": [10, 11, 9, 10], "timestamp": [1, 2, 3, 4]}
    assert raw.time_unit == "step"
    assert raw.source == "s.txt"


def test_pairs_of_user_and_item_work_as_well(write, rows):
    assert rows(load(write("s.txt.gz", "1 10\n1 11\n2 9\n")))["item"].tolist() == [10, 11, 9]


def test_without_users_the_line_number_is_the_user(write, rows):
    frame = rows(load(write("s.txt", "10 11\n\n9\n"), has_user=False, domain="films"))
    assert frame["user"].tolist() == [1, 1, 3]
    assert frame["domain"].tolist() == ["films"] * 3


@pytest.mark.parametrize(
    ("text", "users", "items"),
    [("a x 1\n", ["a", "a"], ["x", "1"]), ("1 007 8\n", [1, 1], ["007", "8"]), ('1 "x 8\n', [1, 1], ['"x', "8"])],
)
def test_ids_that_are_no_integers_stay_texts(write, rows, text, users, items):
    frame = rows(load(write("s.txt", text)))
    assert frame["user"].tolist() == users
    assert frame["item"].tolist() == items


def test_many_lines_keep_their_order(write, rows):
    rng = np.random.default_rng(0)
    histories = rng.integers(1, 1_000, (60_000, 5))
    lines = [f"{user} {' '.join(map(str, items))}" for user, items in enumerate(histories.tolist())]
    frame = rows(load(write("s.txt", "\n".join(lines)))).sort_values("timestamp")
    np.testing.assert_array_equal(frame["item"].to_numpy(), histories.ravel())
    np.testing.assert_array_equal(frame["user"].to_numpy(), np.repeat(np.arange(60_000), 5))


def test_attributes_become_lists_and_meet_the_items_table(write):
    path = write("s.txt", "1 10 11 12\n2 10 11 12\n")
    attributes = write("a.json", '{"10": [1, 2], "11": []}')
    items = write("i.csv", "item,title\n10,Ten\n12,Twelve\n")
    dataset, _ = prepare(load(path, attributes=attributes, items=items), PrepareConfig())
    frame = dataset.catalogue.frame
    assert frame["item"].tolist() == [10, 11, 12]
    assert frame["attributes"].tolist()[:2] == [[1, 2], []]
    assert frame["title"].tolist()[::2] == ["Ten", "Twelve"]


def test_attributes_alone_are_the_items(write):
    raw = load(write("s.txt", "1 10\n"), attributes=write("a.json", '{"10": ["x"]}'))
    assert raw.items is not None
    assert raw.items.to_dict("list") == {"item": ["10"], "attributes": [["x"]]}


def test_a_user_without_items_is_refused(write):
    with pytest.raises(
        DataError, match=r"s\.txt, line 3: a user \('2'\) without items\. Remove the line, or set has_user"
    ):
        load(write("s.txt", "1 10\n\n2\n3 4\n"))


def test_lines_that_cannot_be_read(write, tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*none\.txt"):
        load(tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"e\.txt is empty"):
        load(write("e.txt", ""))
    with pytest.raises(DataError, match=r"b\.txt, line 2: not valid UTF-8"):
        load(write("b.txt", b"1 2\n2 \xff\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"1": [1]\n', r"a\.json, line 2, column 1: malformed JSON"),
        (b"[1]", r"a\.json must be a JSON object of item and list"),
        (b'{"1": 2}', r"a\.json must be a JSON object of item and list"),
        (b'{"1": [1], "1": [2]}', r"a\.json: the item '1' stands twice"),
        (b'{"\xff": [1]}', r"a\.json: not valid UTF-8"),
    ],
)
def test_attributes_that_cannot_be_used(write, content, message):
    with pytest.raises(DataError, match=message):
        load(write("s.txt", "1 2\n"), attributes=write("a.json", content))


def test_attributes_that_are_missing_or_twice(write, tmp_path):
    path = write("s.txt", "1 2\n")
    with pytest.raises(DataError, match=r"There is no file .*none\.json\. Check the option attributes"):
        load(path, attributes=tmp_path / "none.json")
    items, attributes = write("i.csv", "item,attributes\n1,x\n"), write("a.json", "{}")
    with pytest.raises(DataError, match=r"i\.csv has a column 'attributes' already"):
        load(path, items=items, attributes=attributes)


@pytest.mark.skipif("P5_DATA" not in os.environ, reason="P5_DATA does not name the folder of real data")
def test_beauty_has_its_published_size(rows):
    folder = Path(os.environ["P5_DATA"], "s3rec")
    raw = load(folder / "Beauty.txt", attributes=folder / "Beauty_item2attributes.json")
    frame = rows(raw)
    assert (frame["user"].nunique(), frame["item"].nunique(), len(frame)) == (22_363, 12_101, 198_502)
    assert raw.items is not None
    assert len(raw.items) == 12_101
