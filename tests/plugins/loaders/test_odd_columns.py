"""Columns whose names, types or neighbours once led to another reading than the right one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from p5core.cli import build
from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.data.profile.report import PrepareReport
from p5core.errors import ConfigError, DataError
from p5core.plugins.discovery import load_plugins
from p5plugins.loaders.dataframe import InMemory, InMemoryConfig

SECONDS = 1_400_000_000


def prepared(path: Path | str, *fields: str, loader: str = "table", **options: Any) -> tuple[Dataset, PrepareReport]:
    spec = PartSpec.model_validate({"name": loader, "path": str(path), **options})
    raw = load_plugins().choose("loader", spec, "data").build().load()
    return prepare_more(raw, PrepareConfig(keep="all", min_user_events=1, fields=list(fields)))


def frame_of(path: Path | str, *fields: str, **options: Any) -> pd.DataFrame:
    return event_frame(prepared(path, *fields, **options)[0])


@pytest.fixture
def put(tmp_path: Path) -> Any:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(text.encode())
        return tmp_path / name

    return write


PARTS = [
    ("rating", [4], [3.5], [4.0, 3.5]),
    ("rating", pa.array([Decimal("3.1")], pa.decimal128(3, 1)), pa.array([Decimal("3.125")], pa.decimal128(5, 3)),
     [3.1, 3.125]),
    ("timestamp", [dt.date(2020, 1, 2)], [dt.datetime(2020, 1, 1, 23, 59)],
     [pd.Timestamp("2020-01-01 23:59"), pd.Timestamp("2020-01-02")]),
    ("timestamp", [SECONDS + 1], [SECONDS + 0.5],
     [pd.Timestamp(SECONDS + 0.5, unit="s"), pd.Timestamp(SECONDS + 1, unit="s")]),
    ("item", [5], ["007"], ["5", "007"]),
    ("item", pa.array([5], pa.int32()), [2**40], [5, 2**40]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "first", "second", "values"), PARTS)
def test_parquet_parts_of_other_types_are_read_in_one_that_holds_both(
    tmp_path: Path, column: str, first: Any, second: Any, values: list[Any]
) -> None:
    for name, own in (("a", first), ("b", second)):
        pq.write_table(pa.table({"user": [1], "item": [5], column: own}), tmp_path / f"{name}.parquet")
    read = frame_of(tmp_path / "*.parquet")[column].tolist()
    assert read == values if column != "rating" else read == pytest.approx(values)


def test_parquet_parts_without_a_common_type_are_named(tmp_path: Path) -> None:
    moment = pa.array([SECONDS], pa.timestamp("s"))
    for name, times in (("a", [SECONDS]), ("b", moment)):
        pq.write_table(pa.table({"user": [1], "item": [5], "timestamp": times}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="column 'timestamp' is BIGINT here and TIMESTAMP in other files"):
        frame_of(tmp_path / "*.parquet")


def test_fields_may_be_called_as_they_like(put: Any) -> None:
    log = put("a.csv", "user,items,place,part,row,kept\n1,10 11,north,p,x,a\n2,12,south,q,y,b\n")
    frame = frame_of(log, "place", "part", "row", "kept", item="items", explode=True, where="kept in (a, b)")
    assert frame["item"].tolist() == [10, 11, 12]
    assert frame[["place", "part", "row", "kept"]].drop_duplicates().to_numpy().tolist() == [
        ["north", "p", "x", "a"], ["south", "q", "y", "b"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "items"),
    [
        ('"New York|Los Angeles","Rome"', ["New York", "Los Angeles", "Rome"]),
        ('"a b; c","d"', ["a b", "c", "d"]),
        ('"x y","z"', ["x", "y", "z"]),
        ('"a, b","c"', ["a", "b", "c"]),
    ],
)
def test_one_separator_divides_all_lists_of_a_column(put: Any, cells: str, items: list[str]) -> None:
    first, second = cells.split('","')
    log = put("a.csv", f'user,items\n1,{first}"\n2,"{second}\n')
    assert frame_of(log, item="items", explode=True)["item"].tolist() == items


def test_codes_and_large_integers_are_fields_of_values(put: Any) -> None:
    log = put("a.csv", "user,item,order,zip,price\n1,2,123456789,00501,1.5\n1,3,123456788,10001,2\n")
    frame = frame_of(log, "order", "zip", "price")
    assert frame["order"].tolist() == ["123456789", "123456788"]
    assert frame["zip"].tolist() == ["00501", "10001"]
    assert frame["price"].tolist() == [1.5, 2.0]


def test_a_condition_means_the_column_of_the_file(put: Any) -> None:
    log = put("a.csv", "user,item,sku,rating,stars,weight,date,domain\n"
              "1,shirt,s1,1,5,0,2014-05-01,a\n1,shoe,s2,4,3,2,2014-05-02,b\n")  # fmt: skip
    assert frame_of(log, item="sku", where="item != 'shirt'")["item"].tolist() == ["s2"]
    assert frame_of(log, item="sku", where="sku != 's2'")["item"].tolist() == ["s1"]
    assert frame_of(log, rating="stars", where="rating >= 4")["rating"].tolist() == [3.0]
    assert frame_of(log, rating="", where="rating >= 4")["item"].tolist() == ["shoe"]
    assert frame_of(log, where="weight > 0")["item"].tolist() == ["shoe"]
    assert frame_of(log, where="domain = b")["item"].tolist() == ["shoe"]
    assert frame_of(log, timestamp="", where="date = '2014-05-01'")["item"].tolist() == ["shirt"]


def test_a_condition_may_read_a_part_of_the_time(put: Any) -> None:
    log = put("a.csv", "user,item,year,month,day\n1,2,2013,1,1\n1,3,2014,1,1\n")
    assert frame_of(log, where="year >= 2014")["item"].tolist() == [3]


def test_a_name_with_a_meaning_of_its_own_is_no_field(put: Any) -> None:
    with pytest.raises(DataError, match=r"the column 'weight' cannot be kept as a field: .*Take it by its option"):
        frame_of(put("a.csv", "user,item,weight\n1,2,3\n"), "weight")


def test_abbreviations_of_zones_are_not_guessed(put: Any) -> None:
    log = put("a.csv", "user,item,time\n1,2,2013-03-31 00:59:00 GMT\n1,3,2013-03-31 02:01:00 BST\n")
    with pytest.raises(
        DataError, match="row 3, column 'time': the zone of '2013-03-31 02:01:00 BST' is of several countries"
    ):
        frame_of(log)
    named = put("b.csv", "user,item,time\n1,2,2013-03-31 02:01:00 Europe/London\n1,3,2013-03-31T00:59:00Z\n")
    assert frame_of(named)["item"].tolist() == [3, 2]


def test_returns_cancel_up_to_rounding(put: Any) -> None:
    log = put("a.csv", "user,item,weight,timestamp\n1,2,0.3,1\n1,2,-0.1,2\n1,2,-0.2,3\n1,3,1,4\n")
    assert frame_of(log, weight="weight")["item"].tolist() == [3]


def test_objects_of_a_frame_are_what_they_hold() -> None:
    times = [pd.Timestamp(SECONDS * 10**9 + nanosecond) for nanosecond in (3, 2, 1)]
    frame = pd.DataFrame(
        {
            "user": pd.Series([np.int64(1)] * 3, dtype=object),
            "item": pd.Series([np.int64(5), 6, 7], dtype=object),
            "timestamp": pd.Series(times, dtype=object),
        }
    )
    raw = InMemory(InMemoryConfig(interactions=frame)).load()
    assert event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])["item"].tolist() == [7, 6, 5]


@pytest.mark.parametrize("last", ["footer,total,,", "footer,total,1400000000,"])
def test_rows_that_are_left_out_do_not_decide_the_type_of_ids(put: Any, last: str) -> None:
    log = put("a.csv", f"user,item,timestamp,weight\n1,10,1400000000,2\n{last}\n")
    assert frame_of(log, weight="weight", on_error="drop")["item"].tolist() == [10]


def test_a_table_of_items_joins_by_whole_ids(put: Any) -> None:
    log = put("a.csv", "user,item\n1,7\n1,8\n1,10\n")
    items = put("items.csv", "item,title,code\n007,double-o,9007199254740993\n8,x,9007199254740993\nx9,y,1\n1e1,z,2\n")
    dataset, report = prepared(log, items=str(items))
    titles = dict(zip(dataset.catalogue.frame["item"], dataset.catalogue.frame["title"], strict=True))
    assert titles[8] == "x"
    assert titles[7] is pd.NA or pd.isna(titles[7])
    assert pd.isna(titles[10])
    assert dataset.catalogue.frame["code"].tolist()[1] == 9007199254740993
    assert any("3 rows of the items table have an id that is no integer" in note for note in report.notes)


def test_ids_of_items_are_looked_for_under_the_name_that_they_have_in_the_log(put: Any) -> None:
    log = put("ratings.csv", "user_id,book_id,rating\n1,1,5\n1,2,4\n")
    books = put("books.csv", "book_id,isbn,title\n1,439023483,Hunger\n2,439554934,Harry\n")
    dataset, _ = prepared(log, items=str(books))
    assert dataset.catalogue.frame["title"].tolist() == ["Hunger", "Harry"]


def test_a_table_of_items_in_another_encoding_names_its_option(put: Any, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes("item,title\n2,Caf\xe9\n".encode("cp1252"))
    with pytest.raises(DataError, match="Set items_encoding, such as items_encoding = 'cp1252'"):
        prepared(put("a.csv", "user,item\n1,2\n"), items=str(tmp_path / "items.csv"))
    dataset, _ = prepared(tmp_path / "a.csv", items=str(tmp_path / "items.csv"), items_encoding="cp1252")
    assert dataset.catalogue.frame["title"].tolist() == ["Caf\xe9"]


@pytest.mark.parametrize(("unit", "value"), [("s", 1_400_000_000_000), ("excel", 5_000_000), ("ms", 10**16)])
def test_times_beyond_all_calendars_are_refused(put: Any, unit: str, value: int) -> None:
    log = put("a.csv", f"user,item,timestamp\n1,2,{value}\n")
    with pytest.raises(DataError, match="the time is beyond all calendars when it is taken as"):
        frame_of(log, time_unit=unit)


@pytest.mark.parametrize("odd", ["inf", "1400000000000", "1e300"])
def test_odd_times_are_dropped_where_that_is_asked(put: Any, odd: str) -> None:
    log = put("a.csv", f"user,item,timestamp\n1,2,{SECONDS}\n1,3,{SECONDS + 1}\n1,4,{odd}\n")
    dataset, report = prepared(log, on_error="drop")
    assert event_frame(dataset)["item"].tolist() == [2, 3]
    assert [(cell.column, float(cell.value)) for cell in report.rejected] == [("timestamp", float(odd))]


def test_weights_beyond_all_bounds_are_refused() -> None:
    with pytest.raises(ConfigError, match="event_weights"):
        prepared("a.csv", event="event", event_weights={"buy": 1e50})


def test_mixed_line_ends_are_no_obstacle_beside_quotes(put: Any) -> None:
    log = put("a.csv", 'user,item,title\r\n1,2,"a\n# no comment"\n2,3,"b"\r\n')
    assert frame_of(log, "title")["title"].tolist() == ["a\n# no comment", "b"]


def test_a_comment_with_commas_is_no_header(put: Any) -> None:
    assert frame_of(put("a.csv", "# made by x, y\nuser,item\n1,2\n2,3\n"))["item"].tolist() == [2, 3]


def test_sheets_are_read_by_the_names_of_their_columns(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame({"user": [1], "item": [2]}).to_excel(book, sheet_name="one", index=False)
        pd.DataFrame({"item": [3], "user": [1]}).to_excel(book, sheet_name="two", index=False)
        pd.DataFrame({"user": [1], "item": [4], "more": [5]}).to_excel(book, sheet_name="three", index=False)
    dataset, report = prepared(tmp_path / "a.xlsx")
    assert event_frame(dataset)["item"].tolist() == [2, 3]
    assert "sheets of a.xlsx with other columns than the first are left out: three" in report.notes


def test_cities_that_number_their_users_apart_are_not_joined(put: Any, tmp_path: Path) -> None:
    row = "1\t4b522afaf964a5200b6d27e3\tc\tn\t40.7\t-74.0\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
    for city in ("NYC", "TKY"):
        put(f"dataset_TSMC2014_{city}.txt", row)
    with pytest.raises(DataError, match=r"several cities, and user 1 of each is another one: .*NYC.txt, .*Name one"):
        prepared(tmp_path, loader="foursquare")
    assert len(frame_of(tmp_path / "dataset_TSMC2014_TKY.txt", loader="foursquare")) == 1


def test_artists_may_be_called_none(put: Any, tmp_path: Path) -> None:
    put("usersha1-artmbid-artname-plays.tsv", f"{'0' * 40}\tm\tNone\t21\n{'0' * 40}\tm\tNA\t3\n")
    assert sorted(frame_of(tmp_path, loader="lastfm")["item"]) == ["NA", "None"]


def test_clicks_are_proposed_and_not_their_absence(put: Any) -> None:
    _, report = prepared(put("a.csv", "user,item,click\n1,2,0\n1,3,1\n2,3,0\n"))
    assert any("where = \"click = '1'\"" in note for note in report.notes)


def test_a_log_is_not_replaced_by_its_own_events(put: Any) -> None:
    log = put("a.csv", "user,item\n1,2\n1,\n")
    before = log.read_bytes()
    result = CliRunner().invoke(build(load_plugins()), ["data", "prepare", str(log), "-o", str(log)])
    assert result.exit_code == 1
    assert "is read from, and would be lost" in result.output
    assert log.read_bytes() == before


@pytest.mark.parametrize("named", ["items", "folder", "pattern", "experiment"])
def test_no_file_that_is_read_is_replaced(put: Any, tmp_path: Path, named: str) -> None:
    put("log.csv", "user,item\n1,2\n1,3\n")
    put("items.csv", "item,title\n2,a\n3,b\n")
    put("e.toml", f'[data]\nname = "table"\npath = "{tmp_path}/log.csv"\n')
    arguments = {
        "items": ["log.csv", "--set", f"items={tmp_path}/items.csv", "-o", "items.csv"],
        "folder": [".", "--set", "name=recbole", "-o", "log.csv"],
        "pattern": ["l*.csv", "-o", "log.csv"],
        "experiment": ["e.toml", "-o", "log.csv"],
    }[named]
    paths = [
        str(tmp_path / part) if ("." in part and "=" not in part) or part == "l*.csv" else part for part in arguments
    ]
    result = CliRunner().invoke(build(load_plugins()), ["data", "prepare", *paths])
    assert "is read from, and would be lost" in result.output


def test_times_may_have_a_decimal_comma(put: Any) -> None:
    log = put("a.csv", "user;item;timestamp\n1;2;1400000000,5\n1;3;1400000000,25\n")
    assert frame_of(log)["item"].tolist() == [3, 2]
    excel = put("b.csv", "user;item;timestamp\n1;2;43831,5\n1;3;43831,25\n")
    assert frame_of(excel, time_unit="excel")["timestamp"].tolist() == [
        pd.Timestamp("2020-01-01 06:00"), pd.Timestamp("2020-01-01 12:00"),
    ]  # fmt: skip


def test_each_file_of_a_pattern_counts_its_own_lines(put: Any, tmp_path: Path) -> None:
    for name, head in (("x", "# one\n# two\n"), ("y", "")):
        (tmp_path / name).mkdir()
        put(f"{name}/log.csv", f"{head}user,item,rating\n1,2,5\n1,3,{'4' if name == 'x' else 'four'}\n")
    with pytest.raises(DataError, match=r"^y/log\.csv, row 3, column 'rating': the rating 'four'"):
        frame_of(tmp_path / "*" / "log.csv")


def test_lines_of_words_are_told_to_be_histories(put: Any) -> None:
    _, report = prepared(put("log.txt", "1 2 5\n1 3\n2 4 1\n"), loader="sequences")
    assert "each line is read as a user and its items, oldest first" in report.notes


@pytest.mark.parametrize("value", ["20140513", "1400000000000000", "201405131200"])
def test_times_of_other_forms_are_named_where_they_are_not_used(put: Any, value: str) -> None:
    _, report = prepared(put("a.csv", f"user,item,moment_of_it\n1,2,{value}\n1,3,{value}\n"))
    assert any("'moment_of_it' looks like a time and is not used" in note for note in report.notes)


def test_dates_beside_the_time_are_not_compared_as_texts(put: Any) -> None:
    log = put("a.csv", "user,item,timestamp,released\n1,2,1400000000,02/01/2013\n1,3,1400000001,01/06/2014\n")
    with pytest.raises(DataError, match=r"with the date '01/01/2014', but only the column of the time is compared as"):
        frame_of(log, where="released >= '01/01/2014'")
    assert frame_of(log, where="released = '01/06/2014'")["item"].tolist() == [3]


def test_large_numbers_of_a_workbook_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"user": [1, 1], "item": [5, 2**53 + 2]}).to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.raises(DataError, match=r"a.xlsx, sheet Sheet1, row 3, column 'item': 9007199254740994.* as texts"):
        frame_of(tmp_path / "a.xlsx")
    pd.DataFrame({"user": [1], "item": [str(2**53 + 1)]}).to_excel(tmp_path / "b.xlsx", index=False)
    assert frame_of(tmp_path / "b.xlsx")["item"].tolist() == [2**53 + 1]


def test_an_id_that_makes_all_ids_texts_is_pointed_out(put: Any) -> None:
    dataset, report = prepared(put("a.csv", "user,item\n1,99999\n1,99998\n2,1e+05\n"))
    assert event_frame(dataset)["item"].tolist() == ["99999", "99998", "1e+05"]
    assert "1 ids of 'item' are no integers, such as '1e+05', so all of them are texts" in report.notes
    assert not any("are no integers" in note for note in prepared(put("b.csv", "user,item\na,b\nc,1\n"))[1].notes)


def test_parts_of_a_time_are_joined_however_they_are_stored(put: Any) -> None:
    hours = put("a.csv", "user,item,date,hour\n1,2,2014-05-13,10\n1,3,2014-05-13,9\n")
    assert frame_of(hours, timestamp=["date", "hour"])["item"].tolist() == [3, 2]
    days = put("b.csv", "user,item,date_year,date_month,date_day\n1,2,2006,10,29\n1,3,2006,10,9\n")
    assert frame_of(days, timestamp=["date_year", "date_month", "date_day"])["item"].tolist() == [3, 2]
    frame = pd.DataFrame(
        {"user": 1, "item": [2, 3], "year": [2014.0, 2014.0], "month": ["March", "Feb"], "day": [1.0, 2.0]}
    )
    raw = InMemory(InMemoryConfig(interactions=frame)).load()
    assert event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])["item"].tolist() == [3, 2]
