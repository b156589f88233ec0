"""Logs as people have them: read rightly, or refused with the place and a remedy."""

from __future__ import annotations

import bz2
import json
import lzma
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.data.profile.report import PrepareReport
from p5core.data.raw import RawData
from p5core.errors import ConfigError, DataError
from p5core.plugins.discovery import load_plugins
from p5plugins.loaders.dataframe import InMemory, InMemoryConfig
from p5plugins.presets.sequential import Sequential

EVERYTHING = PrepareConfig(keep="all")


def prepared(path: Path | str, loader: str = "table", **settings: Any) -> tuple[Dataset, PrepareReport]:
    spec = PartSpec.model_validate({"name": loader, "path": str(path), **settings})
    return prepare_more(load_plugins().choose("loader", spec, "data").build().load(), EVERYTHING)


def events(path: Path | str, *columns: str, **settings: Any) -> list[tuple[Any, ...]]:
    """(user, item, columns …) of each event, by user and oldest first."""
    frame = event_frame(prepared(path, **settings)[0])
    return list(frame[["user", "item", *columns]].itertuples(index=False, name=None))


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Writes a file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def test_a_missing_id_does_not_turn_integers_into_texts(put: Any) -> None:
    items = put("items.csv", "item,title\n10,Alpha\n11,Beta\n")
    log = put("log.csv", "user,item\n1,10.0\n2,\n2,10.0\n1,11.0\n3,11.0\n")
    dataset, report = prepared(log, items=str(items))
    assert dataset.catalogue.frame["item"].tolist() == [10, 11]
    assert dataset.catalogue.frame["title"].tolist() == ["Alpha", "Beta"]
    assert [step.rows for step in report.dropped] == [1]
    assert events(put("quoted.csv", '"user","item"\n"1","10"\n"2",""\n"2","11"\n')) == [(1, 10), (2, 11)]


@pytest.mark.parametrize("word", ["NULL", "NA", "NaN", "nan", "None", r"\N", "", " ", " NA "])
def test_words_for_missing_are_no_ids(put: Any, word: str) -> None:
    assert events(put("log.csv", f"user,item\n{word},1\n1,2\n2,{word}\n2,3\n")) == [(1, 2), (2, 3)]


def test_words_for_missing_can_be_named(put: Any) -> None:
    log = put("log.csv", "user,item\n-,a\nNA,b\nx,c\n")
    assert events(log, null_words=["-"]) == [("NA", "b"), ("x", "c")]


def test_spaces_around_cells_go(put: Any) -> None:
    log = put("log.csv", "user, item, event\n1, 5, view \n2 ,5 ,view\n")
    assert events(log, "event", event="event") == [(1, 5, "view"), (2, 5, "view")]


LARGE = 2**53 + 1
HUGE = 2**64 - 1


@pytest.mark.parametrize(("ids", "expected"), [([LARGE, 7], [LARGE, 7]), ([HUGE, 7], [str(HUGE), "7"])])
def test_an_id_means_the_same_in_every_format(tmp_path: Path, ids: list[int], expected: list[Any]) -> None:
    frame = pd.DataFrame({"user": [1, 2], "item": ids})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.astype({"item": "uint64"}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(
        "".join(f'{{"user": {u}, "item": {i}}}\n' for u, i in zip((1, 2), ids, strict=True))
    )
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        assert [item for _, item in events(tmp_path / name)] == expected, name
    for column in (pd.Series(ids, dtype="uint64"), pd.Series([Decimal(n) for n in ids], dtype=object)):
        dataset, _ = prepare_more(RawData(frame.assign(item=column)), EVERYTHING)
        assert event_frame(dataset)["item"].tolist() == expected


def test_a_known_type_of_ids_decides(put: Any) -> None:
    log = put("log.csv", "user,item\n1,22001\n2,22002\n")
    assert events(log, id_type="text") == [("1", "22001"), ("2", "22002")]
    with pytest.raises(DataError, match=r"row 3, column 'item': the id 'GIFT' is no integer.*on_error = 'drop'"):
        events(put("gift.csv", "user,item\n1,22001\n2,GIFT\n"), id_type="integer")
    assert events(put("gift.csv", "user,item\n1,22001\n2,GIFT\n"), id_type="integer", on_error="drop") == [(1, 22001)]


def test_lists_and_objects_are_no_ids_and_lists_can_be_exploded(put: Any) -> None:
    lists = put("lists.csv", 'user,items\n1,"[10, 11, 12]"\n2,"[11, 10]"\n')
    with pytest.raises(DataError, match=r"column 'items' is made of lists, such as '\[10, 11, 12\]'.*explode = true"):
        events(lists)
    assert events(lists, explode=True) == [(1, 10), (1, 11), (1, 12), (2, 11), (2, 10)]
    assert events(put("spaces.csv", "user,items\n1,b a\n2,c\n"), explode=True) == [(1, "b"), (1, "a"), (2, "c")]
    nested = put("nested.jsonl", '{"user": 1, "item": ["x", "y"]}\n{"user": 2, "item": ["z"]}\n')
    assert events(nested, explode=True) == [(1, "x"), (1, "y"), (2, "z")]
    with pytest.raises(DataError, match="column 'user' is made of objects"):
        events(put("objects.jsonl", '{"user": {"id": 1}, "item": 2}\n{"user": {"id": 2}, "item": 3}\n'))


def test_columns_that_differ_in_case_are_two(put: Any) -> None:
    log = put("log.csv", "User,user,item\n1,a,2\n2,b,3\n")
    assert events(log, user="User") == [(1, 2), (2, 3)]


TIMES = {
    "Twitter": ["Wed Jul 05 10:08:54 -0700 2017", "Tue Apr 03 18:00:09 +0000 2012"],
    "RFC 2822": ["Tue, 3 Jun 2008 11:05:30 GMT", "Mon, 20 Nov 1995 19:12:08 GMT"],
    "AM and PM": ["2019-11-15 10:22:32 PM", "2019-11-15 10:22:32 AM"],
    "month first, AM and PM": ["11/15/2019 1:05:58 AM", "11/14/2019 9:05:58 PM"],
    "Steam": ["Nov 5, 2012", "Dec 5, 2011"],
    "day, month in capitals": ["01-JAN-2024", "31-OCT-2023"],
    "compact ISO": ["20140102T120000Z", "20140101T130000Z"],
    "month": ["2014-01", "2013-12"],
    "log4j": ["2014-01-01 00:00:00,123", "2014-01-01 00:00:00,122"],
    "Go": ["2012-11-01 22:08:41 +0000 UTC", "2012-11-01 22:08:40 +0000 UTC"],
    "two digits": ["01/02/11", "31/12/10"],
    "14 digits": ["20170101120000", "20170101110000"],
    "10 digits": ["2017010112", "2017010111"],
    "spreadsheet": ["43831.5", "43831.125"],
    "fractions": ["0.4", "0.2"],
    "19 digits": ["1234567890123456799", "1234567890123456790"],
    "microseconds": ["1400000000.000002", "1400000000.000001"],
}


@pytest.mark.parametrize("form", TIMES)
def test_a_form_of_times_orders_events(put: Any, form: str) -> None:
    late, early = TIMES[form]
    log = put("log.csv", f'user,item,timestamp\n1,late,"{late}"\n1,early,"{early}"\n2,late,"{late}"\n')
    assert [item for _, item in events(log)] == ["early", "late", "late"]
    dataset, report = prepared(log)
    assert dataset.has_clock == (form not in ("fractions",))
    if dataset.has_clock:
        assert report.time_span is not None
        assert "1990" < report.time_span[0] < report.time_span[1][:4] + "~" < "2027"


def test_zero_and_negative_times_are_missing(put: Any) -> None:
    _, report = prepared(put("log.csv", "user,item,timestamp\n1,2,1400000000\n1,3,-1\n2,2,0\n2,3,1400000001\n"))
    assert ("no timestamp", 2) in [(step.reason, step.rows) for step in report.dropped]
    assert "2 times are zero or negative, and so missing" in report.notes


def test_a_date_in_several_columns(put: Any) -> None:
    calendar = put("a.csv", "user,item,day,month,year\n1,x,5,1,2014\n1,y,1,12,2013\n")
    assert [item for _, item in events(calendar)] == ["y", "x"]
    clock = put("b.csv", "user,item,date,hour_of_day\n1,x,2014-01-05,10:00\n1,y,2014-01-05,09:00\n")
    assert [item for _, item in events(clock, timestamp=["date", "hour_of_day"])] == ["y", "x"]


def test_columns_that_are_not_used_are_named(put: Any) -> None:
    log = put(
        "log.csv", "user,item,my_date,stars_given,behavior,plays\n1,2,2014-01-01,4,view,3\n2,3,2014-01-02,5,buy,1\n"
    )
    notes = " ".join(prepared(log)[1].notes)
    for option in ("timestamp = 'my_date'", "rating = 'stars_given'", "event = 'behavior'", "weight = 'plays'"):
        assert option in notes


def test_the_order_of_a_sorted_log_is_no_time(put: Any) -> None:
    rows = "".join(f"{user},{item}\n" for user in range(20) for item in range(user % 3, 8))
    dataset, report = prepared(put("log.csv", f"user,item\n{rows}"))
    assert any("nearly all histories are sorted by item" in warning for warning in report.warnings)
    assert 'name = "random"' in Sequential(Sequential.Config()).sections(dataset)
    mixed = "".join(f"{user},{(7 * item + user) % 11}\n" for user in range(20) for item in range(8))
    dataset, report = prepared(put("mixed.csv", f"user,item\n{mixed}"))
    assert report.warnings == ()
    assert 'name = "leave_one_out"' in Sequential(Sequential.Config()).sections(dataset)


def test_files_are_read_in_natural_order(put: Any, tmp_path: Path) -> None:
    for part in (10, 2, 1):
        put(f"part-{part}.csv", f"user,item\n1,p{part}\n2,p{part}\n")
    assert [item for user, item in events(tmp_path / "part-*.csv") if user == 1] == ["p1", "p2", "p10"]
    for part in ("test", "train", "valid"):
        put(f"x.{part}.csv", f"item,user\n{part},1\n")
    assert [item for _, item in events(tmp_path / "x.*.csv")] == ["train", "valid", "test"]


def test_where_keeps_rows_and_the_rest_is_counted(put: Any) -> None:
    log = put("log.csv", "user,item,event,price\n1,a,view,1\n1,b,buy,2\n2,a,buy,\n2,c,buy,9\n")
    assert events(log, where="event = 'buy' and price > 1") == [(1, "b"), (2, "c")]
    _, report = prepared(log, where="event = buy")
    assert [(step.reason, step.rows) for step in report.dropped] == [("where event = buy does not hold", 1)]
    with pytest.raises(DataError, match=r"has no column 'evnt', which where = 'evnt = 1' names. Did you mean 'event'"):
        events(log, where="evnt = 1")
    with pytest.raises(ConfigError, match="the condition 'event; DROP TABLE x' cannot be read"):
        events(log, where="event; DROP TABLE x")
    with pytest.raises(DataError, match="no row satisfies where"):
        events(log, where="price > 100")


def test_a_condition_on_large_integers_is_exact(put: Any) -> None:
    log = put("log.csv", "user,item\n9007199254740992,1\n9007199254740993,2\n9007199254740994,3\n")
    assert events(log, where="user = 9007199254740993") == [(9007199254740993, 2)]
    assert events(log, where="user > 9007199254740993") == [(9007199254740994, 3)]


def test_kinds_of_events_weigh_what_they_are_given(put: Any) -> None:
    log = put("log.csv", "user,item,event\n1,a,view\n1,b,buy\n2,a,drop\n2,b,view\n")
    weighed = events(log, "weight", event="event", event_weights={"view": 1, "buy": 5})
    assert weighed == [(1, "a", 1.0), (1, "b", 5.0), (2, "b", 1.0)]
    popularity = load_plugins().choose("scorer", "popularity").build()
    dataset, _ = prepared(log, event="event", event_weights={"view": 1, "buy": 5})
    popularity.fit(dataset.events, dataset.catalogue)
    counts = popularity.scores(None, dataset.events.histories)[0]
    assert counts[1] / counts[0] == pytest.approx(6)


def test_a_column_called_weight_weighs_nothing_unless_it_is_chosen(put: Any) -> None:
    log = put("log.csv", "user,item,weight\n1,a,2\n1,b,0\n2,a,1\n")
    dataset, _ = prepared(log)
    assert (len(dataset.events), dataset.events.weights) == (3, None)
    frame = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "a"], "weight": [2, 0, 1]})
    assert prepare_more(InMemory(InMemoryConfig(interactions=frame)).load(), EVERYTHING)[0].events.weights is None


def test_returns_cancel_what_was_bought(put: Any) -> None:
    log = put("log.csv", "user,item,quantity\n1,a,2\n1,a,3\n1,b,1\n1,a,-4\n2,a,1\n2,c,-1\n2,b,0\n")
    assert events(log, "weight", weight="quantity") == [(1, "a", 1.0), (1, "b", 1.0), (2, "a", 1.0)]


@pytest.mark.parametrize(
    ("cells", "ratings"),
    [
        (["4,5", "3"], [4.5, 3.0]),
        (["80%", "100%"], [0.8, 1.0]),
        (["true", "false"], [1.0, 0.0]),
        (["4.5", "NA"], [4.5]),
    ],
)
def test_ratings_are_read_as_they_are_written(put: Any, cells: list[str], ratings: list[float]) -> None:
    log = put("log.csv", "user;item;rating\n" + "".join(f"{n};{n};{cell}\n" for n, cell in enumerate(cells)))
    assert [round(rating, 4) for *_, rating in events(log, "rating")] == ratings


def test_bad_rows_are_refused_with_their_place_or_dropped_with_a_list(put: Any, tmp_path: Path) -> None:
    put("a.csv", "user,item,timestamp,rating\n1,2,2014-01-01,4\n")
    put("b.csv", "user,item,timestamp,rating\n2,2,soon,5\n1,3,2014-01-02,good\n1,2\n2,3,2014-01-05,3\n")
    with pytest.raises(DataError, match=r"b\.csv, (line 4: 2 columns where 4 are|row 2, column 'timestamp': 'soon')"):
        events(tmp_path / "*.csv")
    kept = events(tmp_path / "*.csv", "rating", on_error="drop")
    assert kept == [(1, 2, 4.0), (2, 3, 3.0)]
    _, report = prepared(tmp_path / "*.csv", on_error="drop")
    assert [(cell.place, cell.column, cell.value) for cell in report.rejected[1:]] == [
        ("b.csv, row 2", "timestamp", "soon"), ("b.csv, row 3", "rating", "good"),
    ]  # fmt: skip
    assert report.rejected[0].place == "b.csv, line 4"
    assert {step.reason: step.rows for step in report.dropped} == {
        "lines that are no rows of the table": 1, "unreadable timestamp": 1, "unreadable rating": 1,
    }  # fmt: skip


@pytest.mark.parametrize("written", ['{{"user": 1, "item": {}}}', "{{'user': 1, 'item': {}}}"])
@pytest.mark.parametrize("broken_first", [True, False])
def test_lines_that_are_no_json_are_dropped_with_a_list(tmp_path: Path, written: str, broken_first: bool) -> None:
    rows = [written.format(item).encode() for item in range(60)]
    for place, faulty in ((20, b"[1, 2]"), (20, b"\xff\xfe{}"), (0 if broken_first else 50, b'{"user": 3, "it')):
        rows.insert(place, faulty)
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(rows))
    with pytest.raises(DataError, match=r"log\.jsonl"):
        events(tmp_path / "log.jsonl")
    assert events(tmp_path / "log.jsonl", on_error="drop") == [(1, item) for item in range(60)]
    _, report = prepared(tmp_path / "log.jsonl", on_error="drop")
    assert sorted((cell.column, cell.value) for cell in report.rejected) == [
        ("malformed JSON", '{"user": 3, "it'), ("no object", "[1, 2]"), ("not valid UTF-8", "\ufffd\ufffd{}"),
    ]  # fmt: skip
    assert {cell.place.partition(",")[0] for cell in report.rejected} == {"log.jsonl"}
    assert report.dropped[0].rows == 3


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "shift-jis", "utf-16"])
def test_encodings(put: Any, encoding: str) -> None:
    word = {"cp1252": "caf\u00e9 \u20ac", "gbk": "\u5f20", "shift-jis": "\u30c6", "utf-16": "\u5f20"}[encoding]
    log = put("log.csv", f"user,item\n1,{word}\n2,{word}\n".encode(encoding))
    assert events(log, encoding=encoding) == [(1, word), (2, word)]


def test_comments_blank_lines_separator_lines_and_mixed_line_ends(put: Any) -> None:
    assert events(put("a.csv", "\n\nuser,item\n1,2\n2,3\n")) == [(1, 2), (2, 3)]
    assert events(put("b.csv", "# from\n#\nuser,item\n1,2\n# x\n2,3\n")) == [(1, 2), (2, 3)]
    assert events(put("c.csv", "sep=;\nuser;item\n1;2\n2;3\n")) == [(1, 2), (2, 3)]
    assert events(put("d.csv", b"user,item\r\n1,2\n2,3\r\n")) == [(1, 2), (2, 3)]


def test_packed_files(tmp_path: Path) -> None:
    text = "user,item\n1,2\n2,3\n"
    with bz2.open(tmp_path / "a.csv.bz2", "wt") as out:
        out.write(text)
    with lzma.open(tmp_path / "a.csv.xz", "wt") as out:
        out.write(text)
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", text)
    for name in ("a.csv.bz2", "a.csv.xz", "a.csv.zip"):
        assert events(tmp_path / name) == [(1, 2), (2, 3)], name


def test_items_tables_take_the_options_of_the_log(put: Any) -> None:
    log = put("log.csv", "user,item\n1,10\n2,11\n")
    items = put("movies.dat", '10;"Am\u00e9lie \\"x\\"";Drama\n11;B;Comedy\n12;C;Drama\n'.encode("cp1252"))
    dataset, _ = prepared(
        log, items=str(items), items_encoding="cp1252", items_separator=";", items_header=False, items_escape="\\",
        items_columns=["item", "title", "genre"], items_where="genre != 'Comedy'",
    )  # fmt: skip
    assert dataset.catalogue.frame["title"].tolist()[0] == 'Am\u00e9lie "x"'
    assert pd.isna(dataset.catalogue.frame["title"].tolist()[1])


def test_equal_rows_of_an_items_table_are_one(put: Any) -> None:
    log = put("log.csv", "user,item\n1,10\n2,11\n")
    twice = put("items.csv", "item,title,domain\n10,A,x\n10,A,x\n11,B,y\n")
    dataset, _ = prepared(log, items=str(twice))
    assert dataset.catalogue.frame["title"].tolist() == ["A", "B"]
    assert dataset.catalogue.frame["item_domain"].tolist() == ["x", "y"]
    with pytest.raises(DataError, match="the id 10 stands in row 2 and in row 3, which differ"):
        prepared(log, items=str(put("other.csv", "item,title\n10,A\n10,B\n")))


def test_json_as_it_is_published(put: Any) -> None:
    log = put("log.json", "{'user': 'a', 'item': u'x'}\n{'user': 'b', 'item': 'it\\'s'}\n")
    assert events(log) == [("a", "x"), ("b", "it's")]
    items = put("items.json", json.dumps({"0": {"title": "A"}, "1": {"title": "B"}}, indent=1))
    dataset, _ = prepared(put("log.csv", "user,item\n1,0\n2,1\n"), items=str(items))
    assert dataset.catalogue.frame["title"].tolist() == ["A", "B"]
    assert events(put("mark.jsonl", b"\xef\xbb\xbf" + b'{"user": 1, "item": 2}\n{"user": 2, "item": 3}\n')) == [
        (1, 2),
        (2, 3),
    ]


def test_records_in_lists_are_rows(put: Any) -> None:
    lines = [
        {"user": 1, "past": [{"item": 5, "about": {"size": 3}}, {"item": 6}], "next": {"item": 7, "ts": 1_700_000_000}},
        {"user": 2, "past": [], "next": {"item": 5, "about": {"size": 4}}},
        {"user": 3, "past": None, "next": None},
    ]
    path = put("log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    dataset, report = prepared(path, timestamp="")
    assert list(event_frame(dataset)[["user", "item"]].itertuples(index=False, name=None)) == [
        (1, 5), (1, 6), (1, 7), (2, 5),
    ]  # fmt: skip
    assert any("guessed columns: records = ['past', 'next']" in note for note in report.notes)
    assert any("about.size" in note for note in report.notes)
    assert events(path, records="next", timestamp="") == [(1, 7), (2, 5)]
    assert events(path, item="about.size", records=["past", "next"], timestamp="") == [(1, 3), (2, 4)]
    with pytest.raises(DataError, match=r"has no column 'nxt' \(records\). Did you mean 'next'"):
        prepared(path, records="nxt")
    with pytest.raises(DataError, match=r"log\.csv is no JSON, so it has no records 'past'"):
        prepared(put("log.csv", "user,item\n1,2\n"), records="past")
    put("bad.jsonl", json.dumps({"user": 1, "list": [{"item": 5, "rating": "x"}]}) + "\n")
    with pytest.raises(DataError, match=r"bad\.jsonl, records of list, row 1, column 'rating': the rating 'x'"):
        prepared(path.with_name("bad.jsonl"))
