"""Logs with rows that do not count, numbers finer than a double, and files beside their published form."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.data.raw import RawData
from p5core.errors import DataError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry

SECOND_FIRST = [(1, 11), (1, 10)]
"""Two events of one user, of which the file has the later one first."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def loaded(registry: Registry, path: Path, name: str = "table", **options: Any) -> RawData:
    spec = PartSpec.model_validate({"name": name, "path": str(path), **options})
    return registry.choose("loader", spec, "data").build().load()


def pairs(raw: RawData) -> list[tuple[Any, Any]]:
    """Users and items, by user and oldest first."""
    frame = event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])
    return list(zip(frame["user"], frame["item"], strict=True))


def put(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("user,item,rating\n1,2,5\nTOTAL,all,99\n2,3,4\n", {"where": "rating < 6"}, [(1, 2), (2, 3)]),
        ("user,item,rating\n1,2,5\nx,y,\n2,3,4\n", {}, [(1, 2), (2, 3)]),
        ("user,item,rating\n1,2,5\nTotal,,5\n2,3,4\n", {}, [(1, 2), (2, 3)]),
        ("user,item,of\n1,2,buy\nx,y,no\n2,3,buy\n", {"event": "of", "event_weights": {"buy": 2}}, [(1, 2), (2, 3)]),
        ("user,item\n1,2\nuser,item\n2,3\n", {}, [(1, 2), (2, 3)]),
        ("user,item,timestamp\n1,2,5\nuser,item,timestamp\n2,3,6\n", {"on_error": "drop"}, [(1, 2), (2, 3)]),
    ],
)  # fmt: skip
def test_rows_that_are_left_out_do_not_make_ids_texts(
    registry: Registry, tmp_path: Path, content: str, options: dict[str, Any], expected: list[Any]
) -> None:
    assert pairs(loaded(registry, put(tmp_path, content), **options)) == expected


@pytest.mark.parametrize(
    ("users", "options", "expected"),
    [
        (["1", "20", "-3"], {}, [-3, 1, 20]),
        (["1", "", "20"], {}, [1, 20]),
        (["1", "042", "20"], {}, ["042", "1", "20"]),
        (["1", "2.0", "20"], {}, [1, 2, 20]),
        ([" 1", "2 ", "20"], {}, [1, 2, 20]),
        (["1", "-1", "20"], {"null_words": ["-1"]}, [1, 20]),
        (["1", "-0", "20"], {}, ["-0", "1", "20"]),
        (["1", "9223372036854775808", "20"], {}, ["1", "20", "9223372036854775808"]),
        (["1", "2", "20"], {"id_type": "text"}, ["1", "2", "20"]),
    ],
)
def test_plain_integers_and_others_are_the_same_ids(
    registry: Registry, tmp_path: Path, users: list[str], options: dict[str, Any], expected: list[Any]
) -> None:
    rows = "".join(f"{user},i,{1000 + nth}\n" for nth, user in enumerate(users))
    raw = loaded(registry, put(tmp_path, f"user,item,timestamp\n{rows}"), **options)
    assert sorted(user for user, _ in pairs(raw)) == expected


def test_header_lines_among_the_rows_are_counted(registry: Registry, tmp_path: Path) -> None:
    raw = loaded(registry, put(tmp_path, "user,item\n1,2\nuser,item\n2,3\nuser,item\n"))
    report = prepare_more(raw, PrepareConfig(keep="all"))[1]
    assert {step.reason: step.rows for step in report.dropped} == {"header lines among the rows": 2}


def test_an_open_quotation_loses_no_other_lines(registry: Registry, tmp_path: Path) -> None:
    lines = [f"{row},{row % 7}" for row in range(200)]
    lines[20] = '5,"6'
    path = put(tmp_path, "user,item\n" + "\n".join(lines) + "\n")
    with pytest.raises(
        DataError, match=r"line 22: a quotation mark is not closed, and 179 further lines would be lost"
    ):
        pairs(loaded(registry, path, on_error="drop"))
    assert len(pairs(loaded(registry, path, on_error="drop", quote=""))) == 200


@pytest.mark.parametrize("form", ["[\n{}\n]", '{{"data": [\n{}\n]}}'])
def test_a_list_of_objects_is_no_file_of_lines(registry: Registry, tmp_path: Path, form: str) -> None:
    rows = [json.dumps({"user": 1, "item": item}) for item in range(6)]
    content = form.replace("{{", "{").replace("}}", "}").replace("{}", ",\n".join(rows))
    path = put(tmp_path, content, "log.json")
    assert pairs(loaded(registry, path, on_error="drop")) == [(1, item) for item in range(6)]


@pytest.mark.parametrize(
    ("times", "options"),
    [
        (["1234567890123456799", "1234567890123456790", "x"], {"time_unit": "step", "on_error": "drop"}),
        (["1700000000123456799", "1700000000123456790", "x"], {"on_error": "drop"}),
        (["1400000000.123456789", "1400000000.123456788"], {}),
        (["1700000000.1234567", "1700000000.1234566", "x"], {"on_error": "drop"}),
    ],
)
def test_digits_of_times_beyond_a_double_keep_the_order(
    registry: Registry, tmp_path: Path, times: list[str], options: dict[str, Any]
) -> None:
    rows = "".join(f"1,{10 + place},{time}\n" for place, time in enumerate(times))
    assert pairs(loaded(registry, put(tmp_path, f"user,item,timestamp\n{rows}"), **options)) == SECOND_FIRST


@pytest.mark.parametrize(
    ("values", "kind", "options"),
    [
        (["1400000000123456799", "1400000000123456790"], pa.decimal128(38, 0), {}),
        (["1400000000123456799", "1400000000123456790"], pa.decimal128(38, 0), {"time_unit": "step"}),
        (["1400000000.123456789", "1400000000.123456788"], pa.decimal128(20, 9), {}),
    ],
)
def test_decimals_of_parquet_keep_the_order(
    registry: Registry, tmp_path: Path, values: list[str], kind: pa.DataType, options: dict[str, Any]
) -> None:
    times = pa.array([Decimal(value) for value in values], kind)
    pq.write_table(pa.table({"user": [1, 1], "item": [10, 11], "timestamp": times}), tmp_path / "log.parquet")
    assert pairs(loaded(registry, tmp_path / "log.parquet", **options)) == SECOND_FIRST


def test_columns_that_are_named_leave_the_first_row_a_row(registry: Registry, tmp_path: Path) -> None:
    path = put(tmp_path, "alice,ma\nbob,mb\nalice,mc\n")
    assert pairs(loaded(registry, path, columns=["user", "item"])) == [("alice", "ma"), ("alice", "mc"), ("bob", "mb")]
    path = put(tmp_path, "user_id,item_id\nalice,ma\n")
    assert pairs(loaded(registry, path, columns=["user", "item"])) == [("alice", "ma")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.jsonl", '{"user": 1, "items": [10, null, 12]}\n{"user": 2, "items": [10]}\n'),
        ("log.csv", 'user,items\n1,"[10, None, 12]"\n2,"[10]"\n'),
        ("log.csv", 'user,items\n1,"[10.0, 12.0]"\n2,"[10.0]"\n'),
    ],
)
def test_lists_with_gaps_hold_integers(registry: Registry, tmp_path: Path, name: str, content: str) -> None:
    raw = loaded(registry, put(tmp_path, content, name), item="items", explode=True)
    assert pairs(raw) == [(1, 10), (1, 12), (2, 10)]


def test_ids_that_are_texts_by_option_are_so_in_the_items_table(registry: Registry, tmp_path: Path) -> None:
    log = put(tmp_path, "user,item\n1,10.0\n2,11.0\n")
    items = put(tmp_path, "item,title\n10.0,A\n11.0,B\n", "items.csv")
    raw = loaded(registry, log, id_type="text", items=str(items))
    assert prepare_more(raw, PrepareConfig(keep="all"))[0].catalogue.frame["title"].tolist() == ["A", "B"]


def test_integers_with_a_point_are_known_texts(registry: Registry, tmp_path: Path) -> None:
    raw = loaded(registry, put(tmp_path, "user,item\n1,42.0\n2,43.0\n"))
    assert pairs(replace(raw, id_types={"item": "text"})) == [(1, "42"), (2, "43")]


@pytest.mark.parametrize("separator", ["~", "^", ":", "||", "\u0001"])
def test_any_separator_can_be_named(registry: Registry, tmp_path: Path, separator: str) -> None:
    path = put(tmp_path, f"user{separator}item\n1{separator}2\n")
    assert pairs(loaded(registry, path, separator=separator)) == [(1, 2)]
    assert pairs(loaded(registry, put(tmp_path, "user\titem\n1\t2\n"), separator=r"\t")) == [(1, 2)]


@pytest.mark.parametrize("time", ["5 janvier 2024", "/Date(1400000000000)/", "x"])
def test_times_of_which_none_can_be_read_are_refused(registry: Registry, tmp_path: Path, time: str) -> None:
    path = put(tmp_path, f"user,item,timestamp\n1,2,{time}\n2,3,{time}\n")
    with pytest.raises(DataError, match=r"log\.csv, row 2, column 'timestamp': .* is no time that can be read"):
        pairs(loaded(registry, path, on_error="drop"))


def test_a_format_with_nanoseconds_keeps_the_order(registry: Registry, tmp_path: Path) -> None:
    rows = "".join(f"1,{item},03/04/2024 10:00:00.12345678{digit}\n" for item, digit in ((10, 9), (11, 1)))
    path = put(tmp_path, f"user,item,timestamp\n{rows}")
    assert pairs(loaded(registry, path, time_format="%m/%d/%Y %H:%M:%S.%n")) == SECOND_FIRST


def test_a_condition_with_half_a_date_says_so(registry: Registry, tmp_path: Path) -> None:
    path = put(tmp_path, "user,item,timestamp\n1,2,2024-01-01\n1,3,2024-03-01\n")
    assert pairs(loaded(registry, path, where="timestamp >= '2024-02-01'")) == [(1, 3)]
    with pytest.raises(DataError, match=r"'2024-02' is no time that can be read\. Write it as '2024-05-17'"):
        pairs(loaded(registry, path, where="timestamp >= '2024-02'"))


def test_words_for_no_date_are_missing(registry: Registry, tmp_path: Path) -> None:
    path = put(tmp_path, "user,item,timestamp\n1,2,infinity\n1,3,2024-01-01\n1,4,epoch\n")
    assert pairs(loaded(registry, path)) == [(1, 3)]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-le", "utf-32-be"])
def test_marks_of_byte_order_are_seen(registry: Registry, tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path, "\ufeffuser,item\n1,é\n".encode(encoding))
    assert pairs(loaded(registry, path)) == [(1, "é")]
    with pytest.raises(DataError, match="encoding = 'hex' is unknown"):
        loaded(registry, path, encoding="hex")


def test_an_object_of_objects_may_stand_on_one_line(registry: Registry, tmp_path: Path) -> None:
    items = put(tmp_path, json.dumps({"10": {"title": "A"}, "11": {"title": "B"}}), "items.json")
    raw = loaded(registry, put(tmp_path, "user,item\n1,10\n2,11\n"), items=str(items))
    assert raw.items is not None
    assert raw.items["title"].tolist() == ["A", "B"]


def test_words_for_missing_hold_in_parquet(registry: Registry, tmp_path: Path) -> None:
    pd.DataFrame({"user": [0, 1], "item": [5, 6]}).to_parquet(tmp_path / "log.parquet")
    assert pairs(loaded(registry, tmp_path / "log.parquet", null_words=["0"])) == [(1, 6)]


def test_gaps_in_a_database_do_not_round_integers(registry: Registry, tmp_path: Path) -> None:
    ids = [9007199254740993, None, 9007199254740995]
    with closing(sqlite3.connect(tmp_path / "log.db")) as database, database:
        database.execute("CREATE TABLE e (user INTEGER, item INTEGER)")
        database.executemany("INSERT INTO e VALUES (?, ?)", [(user, 10 + place) for place, user in enumerate(ids)])
    spec = PartSpec.model_validate({"name": "sql", "url": f"sqlite:///{tmp_path}/log.db", "query": "SELECT * FROM e"})
    assert pairs(registry.choose("loader", spec, "data").build().load()) == [(ids[0], 10), (ids[2], 12)]


def test_numbers_of_items_are_read_as_they_are_written(registry: Registry, tmp_path: Path) -> None:
    items = put(tmp_path, "item;price;share;large\n1;1,5;50%;1,500\n2;2;2,5 %;2,750\n3;;;\n", "items.csv")
    raw = loaded(registry, put(tmp_path, "user,item\n1,1\n"), items=str(items))
    assert raw.items is not None
    assert raw.items["price"].dropna().tolist() == [1.5, 2.0]
    assert raw.items["share"].dropna().tolist() == pytest.approx([0.5, 0.025])
    assert raw.items["large"].dropna().tolist() == ["1,500", "2,750"]  # which may be thousands


def test_nanoseconds_with_a_zone_keep_the_order(registry: Registry, tmp_path: Path) -> None:
    times = pd.to_datetime([1700000000123456799, 1700000000123456790], utc=True)
    frame = pd.DataFrame({"user": [1, 1], "item": [10, 11], "timestamp": times.tz_convert("Asia/Tokyo")})
    frame.to_parquet(tmp_path / "log.parquet")
    assert pairs(loaded(registry, tmp_path / "log.parquet")) == SECOND_FIRST
    part = registry.get("loader", "dataframe")
    raw = part(part.Config(interactions=frame)).load()
    assert pairs(raw) == SECOND_FIRST
    shown = event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])["timestamp"]
    assert shown.dt.strftime("%Y-%m-%d %H:%M:%S").tolist() == ["2023-11-14 22:13:20"] * 2


def test_months_of_a_calendar_may_be_names(registry: Registry, tmp_path: Path) -> None:
    path = put(tmp_path, "user,item,day,month,year\n1,2,5,Jan,2024\n1,3,4,January,2024\n1,4,3,2,2024\n")
    assert pairs(loaded(registry, path)) == [(1, 3), (1, 2), (1, 4)]


def test_parts_are_read_in_order_whatever_their_case(registry: Registry, tmp_path: Path) -> None:
    for place, part in enumerate(("TRAIN", "Dev", "TEST")):
        put(tmp_path, f"user,item\n1,{place}\n", f"{part}.csv")
    assert pairs(loaded(registry, tmp_path / "*.csv")) == [(1, 0), (1, 1), (1, 2)]


def test_impressions_without_clicks_are_shown_whole(registry: Registry, tmp_path: Path) -> None:
    put(tmp_path, "1\tU1\t11/11/2019 9:05:58 AM\tN1\tN5-0 N6-1\n", "train/behaviors.tsv")
    put(tmp_path, "2\tU1\t11/15/2019 9:05:58 AM\tN1\tN3 N40\n", "test/behaviors.tsv")
    raw = loaded(registry, tmp_path, "mind")
    assert raw.impressions is not None
    assert sorted(map(list, raw.impressions["shown"])) == [["N3", "N40"], ["N5", "N6"]]
    assert pairs(raw) == [("U1", "N1"), ("U1", "N6")]


def test_another_file_of_that_name_is_no_ebnerd(registry: Registry, tmp_path: Path) -> None:
    pd.DataFrame({"user": [1], "item": [2]}).to_parquet(tmp_path / "behaviors.parquet")
    parts = {name: info.part for name, info in registry.parts("loader").items()}
    assert parts["ebnerd"].recognises(tmp_path / "behaviors.parquet") == 0.0
    assert pairs(loaded(registry, tmp_path / "behaviors.parquet")) == [(1, 2)]


def test_what_is_wrong_in_files_that_are_no_tables_is_a_sentence(registry: Registry, tmp_path: Path) -> None:
    jester = put(tmp_path, "2," + ",".join([*["1.5"] * 99, "abc"]) + "\n", "jester-data-1.csv")
    with pytest.raises(DataError, match=r"jester-data-1\.csv is no file of 'jester' in the format 'matrix'.*'abc'"):
        loaded(registry, jester, "jester")
    views = put(
        tmp_path, "sessionId;userId;itemId;timeframe;eventdate\n1;NA;abc;1;2016-05-09\n", "train-item-views.csv"
    )
    with pytest.raises(DataError, match=r"train-item-views\.csv is no file of 'diginetica'"):
        loaded(registry, views, "diginetica")


def test_titles_lie_beside_the_folder_of_a_file_a_film(registry: Registry, tmp_path: Path) -> None:
    put(tmp_path, "1:\n10,3,2005-09-06\n", "training_set/mv_0000001.txt")
    put(tmp_path, "1,2003,Dinosaur Planet\n", "movie_titles.txt")
    raw = loaded(registry, tmp_path, "netflix")
    assert raw.items is not None
    assert raw.items["title"].tolist() == ["Dinosaur Planet"]


def test_a_long_first_review_and_a_packed_log_are_recognised(registry: Registry, tmp_path: Path) -> None:
    parts = {name: info.part for name, info in registry.parts("loader").items()}
    review = {"rating": 4.0, "text": "x" * 9_000, "parent_asin": "P1", "user_id": "U1", "timestamp": 1400000000000}
    put(tmp_path, json.dumps(review) + "\n", "amazon/All_Beauty.jsonl")
    assert parts["amazon_reviews"].recognises(tmp_path / "amazon") > 0.5
    frame = pd.DataFrame([[1, 2268318, 2520377, "pv", 1511544070]])
    (tmp_path / "taobao").mkdir()
    frame.to_csv(tmp_path / "taobao" / "UserBehavior.csv.zip", index=False, header=False)
    assert parts["taobao"].recognises(tmp_path / "taobao") > 0.5
    assert pairs(loaded(registry, tmp_path / "taobao", "taobao")) == [(1, 2268318)]


def test_published_files_as_others_pass_them_on(registry: Registry, tmp_path: Path) -> None:
    head = "userId,venueId,venueCategoryId,venueCategory,latitude,longitude,timezoneOffset,utcTimestamp\n"
    files = {
        "foursquare": (
            "dataset_TSMC2014_NYC.csv", f"{head}470,49b,4bf,Bar,40.7,-74.0,-240,Tue Apr 03 18:00:09 +0000 2012\n",
        ),
        "book_crossing": ("Ratings.csv", '"User-ID","ISBN","Book-Rating"\n"1","034545104X","5"\n'),
        "otto": ("train.jsonl", '{"events": [{"aid": 5, "ts": 1659304800025, "type": "clicks"}], "session": 3}\n'),
    }  # fmt: skip
    parts = {name: info.part for name, info in registry.parts("loader").items()}
    for loader, (name, content) in files.items():
        put(tmp_path / loader, content, name)
        shares = {key: part.recognises(tmp_path / loader) for key, part in parts.items()}
        assert max(shares, key=shares.__getitem__) == loader
        assert len(pairs(loaded(registry, tmp_path / loader, loader))) == 1


def test_parts_of_a_benchmark_share_their_tables(registry: Registry, tmp_path: Path) -> None:
    for place, part in enumerate(("test", "train", "valid")):
        rows = f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t{place}\t3\t{881250949 + place}\n"
        put(tmp_path, rows, f"ml-1m.{part}.inter")
    put(tmp_path, "item_id:token\tmovie_title:token_seq\n0\tA\n1\tB\n", "ml-1m.item")
    raw = loaded(registry, tmp_path, "movielens")
    assert pairs(raw) == [(1, 0), (1, 1), (1, 2)]
    assert raw.items is not None
    assert len(raw.items) == 2


def test_ratings_beside_edges_are_named(registry: Registry, tmp_path: Path) -> None:
    put(tmp_path, "1 2 1\n1 3 1\n2 1 1\n", "trust.txt")
    assert not any("beside" in note for note in loaded(registry, tmp_path, "social").notes)
    put(tmp_path, "1 9 4.5\n", "ratings.txt")
    assert (
        "ratings.txt beside it is not read; name that file to read the ratings"
        in loaded(registry, tmp_path, "social").notes
    )


def test_users_of_the_1m_set_may_be_missing(registry: Registry, tmp_path: Path) -> None:
    put(tmp_path, "1::2::5::978300760\n", "ratings.dat")
    put(tmp_path, "2::Amélie (2001)::Comedy\n".encode("latin-1"), "movies.dat")
    raw = loaded(registry, tmp_path, "movielens")
    assert raw.items is not None
    assert raw.items["title"].tolist() == ["Amélie"]
