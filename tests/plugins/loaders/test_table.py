"""Tables in files: what is guessed, what can be said, what is kept."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p5core.config.base import parse_config
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.data.raw import RawData
from p5core.errors import ConfigError
from p5plugins.loaders.table import Table, TableConfig

CSV = "userId,movieId,rating,timestamp\n1,10,4.5,1000000000\n2,20,3,1000000001\n"

SPACES = "".join(chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) == "Zs") + "\t"


def load(path: Path, **options: Any) -> RawData:
    return Table(parse_config(TableConfig, {"path": path, **options}, "data")).load()


@pytest.mark.parametrize(
    ("name", "separator", "shown"),
    [("a.csv", ",", "comma"), ("a.tsv", "\t", "tab"), ("a.csv", ";", "semicolon"), ("a.txt", "|", "|"),
     ("a.dat", "::", "::"), ("a.txt", " ", "space"), ("a.csv.gz", ",", "comma"), ("a.tsv.zst", "\t", "tab"),
     ("without_suffix", ",", "comma")],
)  # fmt: skip
def test_separator_header_and_columns_are_guessed(write, rows, name, separator, shown):
    raw = load(write(name, CSV.replace(",", separator)))
    frame = rows(raw)
    assert frame.columns.tolist() == ["user", "item", "timestamp", "rating"]
    assert frame["user"].tolist() == [1, 2]
    assert frame["item"].tolist() == [10, 20]
    assert raw.notes[0] == f"guessed separator {shown} and a header line"
    assert "user = 'userId', item = 'movieId', timestamp = 'timestamp', rating = 'rating'" in raw.notes[1]
    assert raw.header_rows == 1
    assert raw.source == name


@pytest.mark.parametrize(
    "header",
    ["user_id,item_id", "customer id,StockCode", "CustomerID,product_id", "visitorid,asin", "uid,sku",
     "user_id:token,item_id:token", "User-ID,ISBN", "reviewerID,parent_asin"],
)  # fmt: skip
def test_common_names_are_known(write, rows, header):
    frame = rows(load(write("a.csv", f"{header}\nann,apple\n")))
    assert frame.to_dict("records") == [{"user": "ann", "item": "apple"}]


def test_options_override_every_guess(write, rows):
    path = write("a.csv", "user_id;who;item_id;what;when;score\n1;7;1;x,y;5;9\n")
    raw = load(
        path,
        user="who",
        item="what",
        timestamp="when",
        rating="",
        separator=";",
        header=True,
        time_unit="ms",
        domain="b",
    )
    assert rows(raw)[["user", "item", "timestamp", "domain"]].to_dict("records") == [
        {"user": 7, "item": "x,y", "timestamp": "5", "domain": "b"}
    ]
    assert "rating" not in rows(raw).columns
    assert raw.notes == ()
    assert raw.time_unit == "ms"


def test_empty_names_ignore_what_would_be_guessed(write, rows):
    raw = load(write("a.csv", CSV), timestamp="", rating="")
    assert rows(raw).columns.tolist() == ["user", "item"]


def test_a_named_column_is_not_guessed_as_another(write, rows):
    raw = load(write("a.csv", "user_id,item_id,score\n1,2,3\n"), timestamp="score")
    assert rows(raw).columns.tolist() == ["user", "item", "timestamp"]


def test_a_domain_column_is_taken_along(write, rows):
    raw = load(write("a.csv", "user,item,shop\n1,2,books\n"), domain_column="shop")
    assert rows(raw)["domain"].tolist() == ["books"]


def test_two_domains_exclude_each_other(write):
    with pytest.raises(ConfigError, match="domain and domain_column exclude each other"):
        load(write("a.csv", CSV), domain="a", domain_column="rating")


def test_a_table_without_header_has_numbered_columns(write, rows):
    raw = load(write("u.data", "1\t10\t4\t1000000000\n2\t20\t3\t1000000001\n"), user="column0", item="column1")
    assert rows(raw)[["user", "item"]].to_dict("list") == {"user": [1, 2], "item": [10, 20]}
    assert raw.header_rows == 0
    assert raw.notes == (
        "guessed separator tab and no header line",
        "'column3' looks like a time and is not used; take it with timestamp = 'column3'",
    )


def test_a_header_line_of_one_known_name_counts_as_header(write, rows):
    frame = rows(load(write("a.csv", "user,2019,2020\nann,apple,pear\n"), item="2020"))
    assert frame.to_dict("records") == [{"user": "ann", "item": "pear", "2019": "apple"}]


def test_columns_without_a_name_or_of_one_name_are_numbered(write, rows):
    raw = load(write("a.csv", ",user,item,item\n0,1,2,3\n"), item="item_3")
    assert rows(raw).to_dict("records") == [{"user": 1, "item": 3, "column0": "0"}]


@pytest.mark.parametrize(
    ("written", "read"),
    [(["1", "2"], [1, 2]), (["-5", "0"], [-5, 0]), (["007", "8"], ["007", "8"]), (["1", "x"], ["1", "x"]),
     (["1.0", "2.0"], [1, 2]), (["1.5", "2.0"], ["1.5", "2.0"]), (["1e3", "2"], ["1e3", "2"]),
     (["+1", "2"], ["+1", "2"]),
     (["9223372036854775807", "1"], [2**63 - 1, 1]), (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
     (["é", "日本"], ["é", "日本"])],
)  # fmt: skip
def test_ids_of_text_files_stay_what_they_are(write, rows, written, read):
    body = "".join(f"{one},{one}\n" for one in written)
    frame = rows(load(write("a.csv", f"user,item\n{body}")))
    assert frame["user"].tolist() == read
    assert frame["item"].tolist() == read


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=1, max_size=5))
def test_any_text_comes_back_as_it_was_written(write, rows, texts):
    content = pd.DataFrame({"user": range(len(texts)), "item": [f"x{text}" for text in texts]}).to_csv(index=False)
    assert rows(load(write("a.csv", content)))["item"].tolist() == [f"x{text}".rstrip(SPACES) for text in texts]


def test_a_late_leading_zero_makes_all_ids_texts(write, rows):
    body = "".join(f"{n},{n}\n" for n in range(30_000))
    assert rows(load(write("a.csv", f"user,item\n{body}7,007\n")))["item"].tolist()[-2:] == ["29999", "007"]


def test_missing_ids_arrive_as_missing(write, rows):
    frame = rows(load(write("a.csv", "user,item\n1,2\n,3\n")))
    assert frame["user"].isna().tolist() == [False, True]


def test_quotation_marks_follow_the_kind_of_file(write, rows):
    comma = rows(load(write("a.csv", 'user,item\n1,"a, ""b"""\n2,5" disk\n')))
    assert comma["item"].tolist() == ['a, "b"', '5" disk']
    tab = rows(load(write("a.tsv", 'user\titem\n1\t"Great" Hotel\n')))
    assert tab["item"].tolist() == ['"Great" Hotel']
    quoted_tab = rows(load(write("b.tsv", '"user"\t"item"\n"1"\t"a\tb"\n')))
    assert quoted_tab["item"].tolist() == ["a\tb"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(write, rows):
    assert rows(load(write("a.csv", b"\xef\xbb\xbf" + CSV.encode())))["user"].tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_read_when_named(write, rows, encoding):
    path = write("a.csv", "user,item\n1,Amélie\n".encode(encoding))
    assert rows(load(path, encoding=encoding))["item"].tolist() == ["Amélie"]


def test_a_glob_reads_its_files_in_order_of_name(write, rows, tmp_path):
    write("b.csv", "user,item\n3,30\n")
    write("a.csv.gz", "user,item\n1,10\n2,20\n")
    raw = load(tmp_path / "*.csv*")
    assert rows(raw)["user"].tolist() == [1, 2, 3]
    assert raw.source == "*.csv* (2 files)"


def test_a_name_with_magic_characters_and_quotes_is_a_name(write, rows):
    assert rows(load(write("it's [1].csv", CSV)))["user"].tolist() == [1, 2]


def test_variables_in_paths_are_expanded(write, rows, monkeypatch):
    monkeypatch.setenv("P5_TEST_FOLDER", str(write("a.csv", CSV).parent))
    assert len(rows(load(Path("${P5_TEST_FOLDER}/a.csv")))) == 2


def test_further_columns_are_kept_for_those_who_ask(write, rows):
    raw = load(write("a.csv", "user,item,price,note\n1,2,9.5,x\n2,3,3,y\n"))
    assert rows(raw)[["price", "note"]].to_dict("records") == [
        {"price": "9.5", "note": "x"},
        {"price": "3", "note": "y"},
    ]
    assert prepare(raw, PrepareConfig(min_user_events=1, min_item_events=1))[0].events.fields == {}
    kept = prepare(raw, PrepareConfig(min_user_events=1, min_item_events=1, fields=["price"]))[0]
    assert kept.events.fields["price"].tolist() == [9.5, 3.0]


def test_parquet_keeps_its_types(rows, tmp_path):
    frame = pd.DataFrame(
        {"user_id": [1, 2], "item_id": ["007", "8"], "date": pd.to_datetime(["2024-01-01", "2024-01-02"])}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    read = rows(load(tmp_path / "a.parquet"))
    assert read["user"].tolist() == [1, 2]
    assert read["item"].tolist() == ["007", "8"]
    assert read["timestamp"].tolist() == frame["date"].tolist()


def test_json_lines_keep_their_types(write, rows):
    lines = (
        '{"user_id": 1, "item_id": "007", "time": "2024-01-01", "tags": {"a": 1}}\n'
        '{"item_id": "8", "user_id": 2, "rating": 4.5, "time": null}\n'
    )
    read = rows(load(write("a.jsonl.gz", lines)))
    assert read["user"].tolist() == [1, 2]
    assert read["item"].tolist() == ["007", "8"]
    assert read["rating"].tolist()[1] == "4.5"
    assert read["timestamp"].tolist()[0] == "2024-01-01"


def test_a_json_array_is_read_too(write, rows):
    assert rows(load(write("a.json", '[{"user": 1, "item": 2}, {"user": 3, "item": 4}]')))["item"].tolist() == [2, 4]


def items_of(write: Any, name: str, content: str, **options: Any) -> pd.DataFrame:
    frame = load(write("a.csv", CSV), items=write(name, content), **options).items
    assert frame is not None
    return frame


def test_an_items_table_has_title_and_typed_features(write):
    frame = items_of(
        write, "m.csv", "movieId,title,genres,year,price,zip\n10,Heat,Action|Crime,1995,1.5,007\n20,,,,,8\n"
    )
    assert frame.columns.tolist() == ["item", "title", "genres", "year", "price", "zip"]
    assert frame["item"].tolist() == [10, 20]
    assert frame["genres"].tolist()[0] == "Action|Crime"
    assert frame["year"].tolist()[0] == 1995
    assert frame["price"].tolist()[0] == 1.5
    assert frame["zip"].tolist() == ["007", "8"]
    assert frame.loc[1].drop(["item", "zip"]).isna().all()


def test_guesses_of_the_items_table_are_shown(write):
    raw = load(write("a.csv", CSV), items=write("m.csv", "movieId,name\n1,x\n"))
    assert raw.notes[-1] == "guessed columns of m.csv: item = 'movieId', title = 'name'"


def test_id_and_title_of_the_items_table_can_be_named(write):
    frame = items_of(write, "m.csv", "code,movieId,title\nx,1,y\n", items_id="code", items_title="")
    assert frame.columns.tolist() == ["item", "movieId", "title"]
    named = items_of(write, "n.csv", "code,label\nx,y\n", items_id="code", items_title="label")
    assert named.to_dict("records") == [{"item": "x", "title": "y"}]


def test_items_as_json_lines_keep_lists(write):
    frame = items_of(
        write, "m.jsonl", '{"item": 1, "tags": ["a", "b"], "n": 1}\n{"item": 2, "n": 2.5, "o": {"p": 1}}\n'
    )
    assert list(frame["tags"][0]) == ["a", "b"]
    assert frame["n"].tolist() == [1.0, 2.5]
    assert frame["o"].tolist()[1] == '{"p":1}'


def test_typed_headers_lose_their_type_and_sequences_become_lists(write):
    frame = items_of(
        write, "m.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n1\tToy Story\tAction Comedy\n"
    )
    assert frame.to_dict("records") == [{"item": 1, "title": "Toy Story", "class": "Action|Comedy"}]


def test_a_users_table_is_taken_along(write):
    raw = load(write("a.csv", CSV), users=write("u.csv", "userId,age\n1,30\n2,40\n"))
    assert raw.users is not None
    assert raw.users.to_dict("list") == {"user": [1, 2], "age": [30, 40]}


def test_the_same_item_may_stand_in_two_domains(write):
    frame = items_of(write, "m.csv", "item,domain\n1,books\n1,films\n")
    assert len(frame) == 2


def test_rows_of_an_items_table_without_an_id_are_left_out_and_told(write):
    items = write("m.csv", "item,title\n2,a\n,b\n,c\n")
    _, report = prepare(load(write("a.csv", CSV), items=items), PrepareConfig(min_user_events=1))
    assert "2 rows of the items table have no id and are left out" in report.notes


def test_preparation_reads_what_the_loader_found(write):
    lines: Sequence[str] = [f"u{n % 3},{n % 4},{1_000_000_000 + n}" for n in range(24)]
    raw = load(write("a.csv", "user,item,time\n" + "\n".join(lines)))
    dataset, report = prepare(raw, PrepareConfig(min_user_events=1))
    assert len(dataset.events.items) == 12
    assert dataset.catalogue.id_kind == "int64"
    assert np.all(np.diff(dataset.events.times[:4]) > 0)
    assert any("guessed columns" in note for note in report.notes)


@pytest.mark.parametrize("gap", ["", '""'])
def test_a_missing_id_leaves_the_others_what_they_are(write, rows, gap):
    events = write("a.csv", f"user,item\n1,10.0\n2,{gap}\n2,10.0\n1,11.0\n{gap},11.0\n3,11.0\n")
    items = write("items.csv", f"item,title,price\n10,Alpha,3\n11,Beta,{gap}\n")
    dataset, report = prepare(load(events, items=items), PrepareConfig(min_user_events=1))
    assert dataset.catalogue.id_kind == dataset.users.kind == "int64"
    assert dataset.catalogue.frame[["item", "title"]].to_dict("list") == {"item": [10, 11], "title": ["Alpha", "Beta"]}
    assert dataset.catalogue.frame["price"].tolist()[0] == 3
    assert [one.rows for one in report.dropped] == [2]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t_dat", ["2018-09-22", "2018-09-20"]),
        ("moment", ["2018-09-22 10:00", "2018-09-20 11:00"]),
        ("when", ["12/1/10 8:26", "12/13/10 9:02"]),
        ("stamp", ["1537600000000", "1537500000000"]),
        ("at", ["1537600000", "1537500000"]),
        ("day", ["Nov 5, 2011", "Nov 6, 2011"]),
    ],
)
def test_no_time_is_ignored_without_a_word(write, rows, name, values):
    path = write("a.csv", f'customer_id,article_id,{name},price\n1,775015,"{values[0]}",1\n1,775044,"{values[1]}",1\n')
    raw = load(path)
    used = "timestamp" in rows(raw).columns
    assert used or f"'{name}' looks like a time and is not used; take it with timestamp = '{name}'" in raw.notes
    assert not any("looks like a time" in note for note in load(path, timestamp=name).notes)
    assert not any("looks like a time" in note for note in load(path, timestamp="").notes)
    assert not any("'price'" in note for note in raw.notes)


@pytest.mark.parametrize("name", ["t_dat", "purchase_date", "event_timestamp", "createdAt", "date_added", "Time Stamp"])
def test_common_names_of_times_are_taken(write, rows, name):
    frame = rows(load(write("a.csv", f"user,item,{name}\n1,775015,2018-09-22\n1,775044,2018-09-20\n")))
    assert frame["timestamp"].tolist() == ["2018-09-22", "2018-09-20"]


def test_a_domain_in_the_items_table_is_a_feature_unless_the_events_have_domains(write):
    events = write("a.csv", "user,item,shop\n1,10,x\n2,11,y\n1,11,y\n2,10,x\n")
    items = write("items.csv", "item,domain,title\n10,x,Alpha\n11,y,Beta\n")
    dataset, report = prepare(load(events, items=items), PrepareConfig(min_user_events=1))
    assert dataset.catalogue.frame["title"].tolist() == ["Alpha", "Beta"]
    assert dataset.catalogue.frame["item_domain"].tolist() == ["x", "y"]
    assert dataset.catalogue.domains == ("default",)
    assert any("names no domain of the events; it is the feature 'item_domain'" in note for note in report.notes)
    both, _ = prepare(load(events, items=items, domain_column="shop"), PrepareConfig(min_user_events=1))
    assert set(both.catalogue.domains) == {"x", "y"}
    assert sorted(both.catalogue.frame["title"]) == ["Alpha", "Beta"]
    one, _ = prepare(load(events, items=items, domain="books"), PrepareConfig(min_user_events=1))
    assert sorted(one.catalogue.frame["title"]) == ["Alpha", "Beta"]
