"""Tables that cannot be used: one sentence with file, line and column."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.errors import DataError
from p5plugins.loaders.table import Table, TableConfig

CSV = "user,item\n1,2\n"


def load(path: Path, **options: Any) -> None:
    Table(TableConfig(path=path, **options)).load()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), r"a\.csv\.gz is empty"),
        ("a.csv.gz", b"no gzip", r"a\.csv\.gz cannot be opened or unpacked"),
        ("a.csv", b"user,item\n1,ab\n2,\xff\xfe\n3,c\n", r"a\.csv, line 3: not valid UTF-8. Set encoding"),
        ("a.csv", b"us\xe9r,item\n1,2\n", r"a\.csv, line 1: not valid utf-8"),
        ("a.csv", b"user,item,ts\n1,2,3\n4,5\n", r"a\.csv, line 3: 2 columns where 3 are expected"),
        ("a.csv", b"user,item,ts\n1,2,3\n4,5,6,7\n", r"a\.csv, line 3: 4 columns where 3 are expected"),
        ("a.csv", b'user,item\n1,"open\n2,x\n', r"a\.csv, line 2: a quotation mark is not closed"),
        ("a.csv", b"what,when\n1,2\n", r"no column looks like the user\. Name it .* what, when\. If a file"),
        ("a.csv", b"user,when\n1,2\n", r"a\.csv: no column looks like the item"),
        ("a.csv", b"1,2\n3,4\n", r"a\.csv has no header line, so no column looks like the user.*column0, column1"),
        ("a.csv", b"user^item\n1^2\n", r"one column only, 'user\^item'\. .* wrong: set the sep"),
        ("a.parquet", b"no parquet file", r"a\.parquet is no Parquet file or is damaged"),
        ("a.jsonl", b'{"user": 1, "item": 2}\n{"user": oops}\n', r"a\.jsonl, line 2: malformed JSON at column 10"),
        ("a.jsonl", b'{"user": 1, "item": 2}\n{"user": 1, "it', r"a\.jsonl, line 2: malformed JSON"),
        ("a.jsonl", b'{"user": 1, "item": "x"}\n{"user": 1, "item": "\xff"}\n', r"a\.jsonl, line 2: not valid UTF-8"),
        (
            "a.jsonl",
            b'{"user": 1, "item": 2}\n{"user": "x", "item": 2}\n',
            r"row 2, column 'user': \"x\" is of another",
        ),
        ("a.xlsx", b"PK", r"a\.xlsx is no Excel file or is damaged"),
        ("a.doc", b"x", r"unknown format '\.doc'\. Known: \.csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_wrong_separator_is_recognised(write):
    with pytest.raises(DataError, match=r"one column only, 'user,item'\. .* set separator = ','"):
        load(write("a.csv", CSV), separator=";")


def test_a_column_that_is_not_there_is_named_with_those_that_are(write):
    with pytest.raises(DataError, match=r"no column 'users' \(user\)\. Did you mean 'user'\? Its columns: user, item"):
        load(write("a.csv", CSV), user="users")
    with pytest.raises(DataError, match=r"no column 'shop' \(domain_column\)"):
        load(write("a.csv", CSV), domain_column="shop")


def test_paths_that_lead_nowhere(write, tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*missing\.csv\. Check the path"):
        load(tmp_path / "missing.csv")
    with pytest.raises(DataError, match=r"That is a folder; name its files, such as .*\*\.csv"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"No file matches .*\*\.parquet"):
        load(tmp_path / "*.parquet")


def test_files_of_a_glob_must_be_alike(write, tmp_path):
    write("a.csv", CSV)
    write("b.csv", "user,item,time\n1,2,3\n")
    with pytest.raises(DataError, match=r"b\.csv has the columns user, item, time, but a\.csv has user, item"):
        load(tmp_path / "*.csv")
    write("c.jsonl", "{}")
    with pytest.raises(DataError, match="different formats: json, text"):
        load(tmp_path / "*.*")


def test_parquet_files_of_a_glob_must_be_alike(tmp_path):
    pd.DataFrame({"user": [1], "item": [2]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"user": [1], "thing": [2]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet has the columns user, thing, but a\.parquet has user, item"):
        load(tmp_path / "*.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,title\n7,a\n8,b\n7,c\n", r"m\.csv, column 'item': the id 7 stands in row 2 and in row 4"),
        ("item,title\n7,a\n,b\n,c\n7,d\n", r"m\.csv, column 'item': the id 7 stands in row 2 and in row 5"),
        ("code,title\n7,a\n", r"m\.csv: no column looks like the id\. Name it by items_id"),
        ("item_id,item,name\n1,2,x\n", r"m\.csv has two columns that would be called 'item'"),
    ],
)
def test_an_items_table_that_cannot_be_used_is_explained(write, content, message):
    named = {"items_id": "item_id"} if content.startswith("item_id") else {}
    with pytest.raises(DataError, match=message):
        load(write("a.csv", CSV), items=write("m.csv", content), **named)


def test_a_title_that_is_not_there_is_named(write):
    with pytest.raises(DataError, match=r"m\.csv has no column 'label' \(title\)"):
        load(write("a.csv", CSV), items=write("m.csv", "item\n1\n"), items_title="label")


def test_a_header_alone_is_refused_by_preparation(write):
    raw = Table(TableConfig(path=write("a.csv", "user,item\n"))).load()
    with pytest.raises(DataError, match=re.escape("a.csv has no rows")):
        prepare(raw, PrepareConfig())
