"""Logs of odd forms: conditions on what was read, marks of comments, records, codes, and what sentences name."""

from __future__ import annotations

import json
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
from p5core.errors import ConfigError, DataError
from p5core.plugins.discovery import load_plugins
from p5plugins.loaders.sequences import Sequences


def prepared(path: Path | str, loader: str = "table", **settings: Any) -> tuple[Dataset, PrepareReport]:
    spec = PartSpec.model_validate({"name": loader, "path": str(path), **settings})
    raw = load_plugins().choose("loader", spec, "data").build().load()
    return prepare_more(raw, PrepareConfig(keep="all"))


def items(path: Path | str, **settings: Any) -> list[Any]:
    """The items, by user and oldest first."""
    return event_frame(prepared(path, **settings)[0])["item"].tolist()


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Writes a file and returns its path."""

    def write(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("rows", "where", "expected"),
    [
        ("u,1,13/01/2024\nu,2,01/02/2024\nu,3,30/12/2023\n", "ts >= '02/01/2024'", [1, 2]),
        ("u,1,13/01/2024\nu,2,01/02/2024\nu,3,30/12/2023\n", "ts >= '2024-01-02' and item < 2", [1]),
        ("u,1,1700000000\nu,2,1600000000\n", "ts < '2021-01-01'", [2]),
        ("u,1,1700000000\nu,2,1600000000\n", "ts >= '2023-01-01' or item = 9", [1]),
        ("u,1,1700000000\nu,2,1600000000\n", "ts > 1650000000", [1]),
        ("u,1,2024-01-01\nu,2,2024-03-01\n", "ts < '2024-02-01'", [1]),
    ],
)
def test_the_time_is_compared_as_a_time(put: Any, rows: str, where: str, expected: list[int]) -> None:
    assert items(put("log.csv", f"user,item,ts\n{rows}"), where=where) == expected


@pytest.mark.parametrize(
    ("cells", "where", "expected"),
    [
        (["4,5", "3", "2,5", "1"], "price > 2", [0, 1, 2]),
        (["1.5", "10", "9", ""], "price > '2'", [1, 2]),
        (["1.0", "0.0", "1"], "price = true", [0, 2]),
        (["O'Neil", "Smith"], "price = 'O''Neil'", [0]),
        (["O'Neil", "Smith"], 'price = "O\'Neil"', [0]),
    ],
)
def test_values_are_compared_as_they_are_read(put: Any, cells: list[str], where: str, expected: list[int]) -> None:
    rows = "".join(f"u;{place};{text}\n" for place, text in enumerate(cells))
    assert items(put("log.csv", f"user;item;price\n{rows}"), where=where, separator=";") == expected


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_beyond_all_is_refused(put: Any, number: str) -> None:
    with pytest.raises(ConfigError, match=f"compares with {number}, which is beyond"):
        items(put("log.csv", "user,item,price\nu,1,2\n"), where=f"price > {number}")


def test_a_column_named_within_another_is_still_named(put: Any) -> None:
    """A condition hides the columns that it reads, not those whose names are a part of it."""
    path = put("log.csv", "user,item,rate,rate_total\nu,1,4,9\nu,2,3,9\n")
    _, report = prepared(path, where="rate_total > 5")
    assert any("'rate' looks like a rating" in note for note in report.notes)


def test_a_list_of_edges_is_no_list_of_histories(put: Any) -> None:
    path = put("out.txt", "% sym unweighted\n1 2 1 1082040961\n1 3 1 1082155839\n2 3 1 1082155839\n")
    assert Sequences.recognises(path) == 0
    assert Sequences.recognises(put("histories.txt", "1 2 3\n2 3\n")) > 0.5


def test_a_header_or_an_id_with_a_mark_is_no_comment(put: Any) -> None:
    assert items(put("a.csv", "#user,item,ts\nu,a,2024-01-01\nv,b,2024-01-02\n")) == ["a", "b"]
    assert sorted(items(put("b.csv", "item,user,ts\n#love,u,2024-01-01\nplain,u,2024-01-02\n"))) == ["#love", "plain"]
    dataset, report = prepared(put("c.csv", "# a comment\nuser,item\nu,a\n# another one\nv,b\n"))
    assert len(dataset.events) == 2
    assert any("2 comment lines" in note for note in report.notes)


def test_a_record_has_its_own_values(put: Any) -> None:
    line = {
        "user": 1, "timestamp": 1_600_000_000, "rating": 99,
        "events": [
            {"item": 2, "timestamp": 1_700_000_001, "rating": 5}, {"item": 3, "timestamp": 1_700_000_000, "rating": 1},
        ],
    }  # fmt: skip
    dataset, report = prepared(put("log.jsonl", json.dumps(line) + "\n"))
    frame = event_frame(dataset)
    assert frame["item"].tolist() == [3, 2]
    assert frame["rating"].tolist() == [1, 5]
    assert any("line.timestamp" in note for note in report.notes)
    texts = put("texts.jsonl", json.dumps({"user": 1, "events": ["a", "b"]}) + "\n")
    with pytest.raises(DataError, match=r"events holds no objects\. For lists of ids set item = 'events' and explode"):
        prepared(texts, records="events")


def test_records_under_the_name_of_an_item_are_taken(put: Any) -> None:
    path = put("log.jsonl", json.dumps({"user_id": "u", "items": [{"item_id": "7"}, {"item_id": "8"}]}) + "\n")
    assert items(path) == ["7", "8"]


def test_a_column_called_domain_is_named(put: Any) -> None:
    path = put("log.csv", "user,item,domain\nu,1,books\nu,1,films\n")
    assert any("domain_column = 'domain'" in note for note in prepared(path)[1].notes)
    assert prepared(path, domain_column="domain")[0].n_items == 2


@pytest.mark.parametrize(
    ("cells", "weights"),
    [(["1.0", "3.0", "1"], {"1": 1, "3": 5}), (["True", "False", "true"], {"true": 1, "False": 5})],
)
def test_codes_of_events_are_compared_as_codes(put: Any, cells: list[str], weights: dict[str, float]) -> None:
    rows = "".join(f"u,{place},{text}\n" for place, text in enumerate(cells))
    dataset, _ = prepared(put("log.csv", f"user,item,event\n{rows}"), event="event", event_weights=weights)
    assert dataset.events.fields["weight"].tolist() == [1, 5, 1]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("user,item,event\nu,1,view\n", {"event": "event", "event_weights": {"foo": 1}}),
        ("user,item,rating\nu,1,NA\nu,2,\n", {}),
        ("user,item\nNA,1\n,2\n", {}),
    ],
)
def test_a_log_of_which_nothing_is_left_is_explained(put: Any, content: str, settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="Nothing is left"):
        prepared(put("log.csv", content), **settings)


def test_order_below_a_microsecond_is_kept(put: Any, tmp_path: Path) -> None:
    rows = "u,0,2024-01-01 00:00:00.1234567\nu,1,2024-01-01 00:00:00.1234561\n"
    assert items(put("log.csv", f"user,item,ts\n{rows}")) == [1, 0]
    times = pd.to_datetime([1_700_000_000_000_000_002, 1_700_000_000_000_000_001])
    pd.DataFrame({"user": [1, 1], "item": [0, 1], "ts": times}).to_parquet(tmp_path / "log.parquet")
    assert items(tmp_path / "log.parquet") == [1, 0]


def test_quoted_elements_of_a_list_stay_whole(put: Any) -> None:
    path = put("log.csv", "user,item\nu,\"['a', 'b, c']\"\nv,\"['d']\"\n")
    assert sorted(items(path, explode=True)) == ["a", "b, c", "d"]


def test_tabs_around_ids_go_and_dates_of_zeros_are_missing(put: Any) -> None:
    dataset, _ = prepared(put("log.csv", "user,item\n\tu1 ,1\nu1,2\n"))
    assert len(dataset.users) == 1
    dataset, report = prepared(put("times.csv", "user,item,ts\nu,1,2024-01-01 00:00:00\nu,2,0000-00-00 00:00:00\n"))
    assert len(dataset.events) == 1
    assert {step.reason: step.rows for step in report.dropped} == {"no timestamp": 1}


def test_sentences_name_the_column_of_the_file(put: Any) -> None:
    with pytest.raises(DataError, match=r"column 'InvoiceDate': 'soon' is no time"):
        prepared(put("log.csv", "CustomerID,StockCode,InvoiceDate\nu,1,2024-01-01\nu,2,soon\n"))
    with pytest.raises(
        DataError, match=r"'10:00' is no time .* Join it with the column of the date: timestamp = \['da"
    ):
        prepared(put("log.csv", "user,item,date,time\nu,1,2024-01-01,10:00\n"))
    path = put("log.csv", "user,item,date,time\nu,1,2024-01-01,10:00\nu,2,2024-01-01,09:00\n")
    assert items(path, timestamp=["date", "time"]) == [2, 1]
    notes = prepared(path, timestamp=["date", "time"])[1].notes
    assert not any("not used: date" in note for note in notes)


def test_sentences_about_an_items_table_name_its_file_and_row(put: Any, tmp_path: Path) -> None:
    log = put("log.csv", "user,item\n1,1\n2,2\n")
    put("items.csv", "code,title\n1,a\n")
    with pytest.raises(DataError, match=r"items\.csv: no column looks like the id\. Name it by items_id"):
        prepared(log, items=str(tmp_path / "items.csv"))
    put("items.csv", "id,title\nzzz,a\n")
    with pytest.raises(DataError, match=r"^items\.csv, row 2: the id 'zzz' is no integer"):
        prepared(log, items=str(tmp_path / "items.csv"))
    put("items.csv", "id,title\n1,a\nx,b\n")
    assert any("such as 'x' in row 3" in note for note in prepared(log, items=str(tmp_path / "items.csv"))[1].notes)


def test_two_digit_years_may_stand_first(put: Any) -> None:
    path = put("log.csv", "user,item,ts\nu,1,24/04/13\nu,2,24/01/02\n")
    assert items(path, day_first=False) == [2, 1]
