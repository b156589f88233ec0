"""Every published file format, by a small file of exactly that format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from published_files import CASES, Row, written

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.data.raw import RawData
from p5core.errors import ConfigError, DataError
from p5core.plugins.discovery import load_plugins
from p5plugins.layouts.published import Published


def read(loader: str, path: Path, **settings: Any) -> RawData:
    spec = PartSpec.model_validate({"name": loader, "path": str(path), **settings})
    return load_plugins().choose("loader", spec, "data").build().load()


def rows_of(raw: RawData, columns: tuple[str, ...]) -> tuple[list[Row], pd.DataFrame]:
    dataset, _ = prepare_more(raw, PrepareConfig(keep="all"))
    frame = event_frame(dataset)
    if "timestamp" in columns and dataset.has_clock:
        frame["timestamp"] = frame["timestamp"].map(_shown)
    picked = frame[["user", "item", *columns]]
    numbers = picked.select_dtypes("float").columns
    picked = picked.assign(**{name: picked[name].astype("float64").round(4) for name in numbers})
    return list(picked.itertuples(index=False, name=None)), dataset.catalogue.frame


def _shown(moment: pd.Timestamp) -> str:
    text = str(moment)
    return text.removesuffix("000") if "." in text else text


def amazon(folder: Path, *categories: str) -> Path:
    """Reviews of some categories, with the metadata of two of them."""
    review = '{{"reviewerID": "A{n}", "asin": "{asin}", "overall": {n}.0, "unixReviewTime": {time}}}\n'
    for category in categories:
        lines = [review.format(n=n, asin=f"{category}{n % 3}", time=1_400_000_000 + n) for n in range(1, 6)]
        (folder / f"{category}_5.json").write_text("".join(lines))
    for category in ("Books", "Music"):
        rows = [{"asin": f"{category}{n}", "title": f"{category} {n}", "price": n} for n in range(3)]
        (folder / f"meta_{category}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_file_has_the_metadata_of_its_category_and_a_folder_that_of_all(tmp_path: Path) -> None:
    folder = amazon(tmp_path, "Books", "Music", "Toys")
    assert read("amazon_reviews", folder / "Toys_5.json").items is None
    for path, expected in ((folder / "Music_5.json", {"Music"}), (folder, {"Books", "Music"})):
        items = read("amazon_reviews", path).items
        assert items is not None
        assert {title.split()[0] for title in items["title"]} == expected


def test_a_published_format_takes_the_options_of_a_table(tmp_path: Path) -> None:
    folder = amazon(tmp_path, "Books", "Toys")
    kept = read("amazon_reviews", folder / "Books_5.json", where="overall > 3", items_where="price > 1")
    events, items = rows_of(kept, ("rating",))
    assert [rating for *_, rating in events] == [4.0, 5.0]
    assert items["title"].dropna().tolist() == ["Books 2"]
    other = read("amazon_reviews", folder / "Toys_5.json", items=str(folder / "meta_Books.json"), rating="")
    assert other.items is not None
    assert "rating" not in rows_of(other, ())[0][0]
    assert prepare_more(other, PrepareConfig(keep="all"))[1].ratings is None


def test_a_format_that_is_no_table_refuses_columns_and_takes_conditions(tmp_path: Path) -> None:
    folder = written(tmp_path, CASES["mind"].files)
    with pytest.raises(ConfigError, match=r"files of 'mind' .* are no plain tables, so 'user' does not apply"):
        read("mind", folder, user="session")
    everything = rows_of(read("mind", folder), ())[0]
    user = everything[0][0]
    kept = rows_of(read("mind", folder, where=f"user <> '{user}'"), ())[0]
    assert kept == [row for row in everything if row[0] != user]
    assert 0 < len(kept) < len(everything)


def test_the_preview_of_a_published_format_shows_its_file(tmp_path: Path) -> None:
    folder = amazon(tmp_path, "Books")
    spec = PartSpec.model_validate({"name": "amazon_reviews", "path": str(folder / "Books_5.json")})
    preview = load_plugins().choose("loader", spec, "data").build().preview()
    assert "reviewerID" in preview.preview.columns
    assert preview.columns["user"] == "reviewerID"


@pytest.mark.parametrize("name", CASES)
def test_a_published_format_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    folder = written(tmp_path, case.files)
    loaders = {key: info.part for key, info in load_plugins().parts("loader").items()}
    best = max(loaders, key=lambda key: loaders[key].recognises(folder))
    assert best == case.loader
    events, items = rows_of(read(case.loader, folder, **case.settings), case.columns)
    dates = [
        tuple(value.removesuffix(" 00:00:00") if isinstance(value, str) else value for value in row) for row in events
    ]
    assert dates == [*case.events]
    if case.titles:
        known = dict(zip(items["item"], items["title"], strict=True))
        assert {item: known[item] for item in case.titles} == case.titles


def test_the_parts_of_mind_are_read_together(tmp_path: Path) -> None:
    for part, line in (
        ("MINDsmall_dev", "7\tU1\t11/15/2019 9:05:58 AM\tN9 N8\tN3-1 N4-0\n"),
        ("MINDsmall_train", "7\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN5-0 N6-1\n"),
    ):
        (tmp_path / part).mkdir()
        (tmp_path / part / "behaviors.tsv").write_text(line)
        (tmp_path / part / "news.tsv").write_text("N1\tnews\tx\tOne\t\turl\t[]\t[]\n")
    assert load_plugins().parts("loader")["mind"].part.recognises(tmp_path) > 0.5
    raw = read("mind", tmp_path)
    before, first, last = "2019-11-11 09:05:57", "2019-11-11 09:05:58", "2019-11-15 09:05:58"
    events, _ = rows_of(raw, ("timestamp",))
    assert events == [("U1", "N1", before), ("U1", "N2", before), ("U1", "N6", first), ("U1", "N3", last)]
    assert raw.items is not None
    assert raw.items["item"].tolist() == ["N1"]
    assert raw.impressions is not None
    assert len(raw.impressions) == 2


def test_the_parts_of_ebnerd_are_read_together_and_repeat_nothing(tmp_path: Path) -> None:
    times = pd.to_datetime(["2023-05-01 10:00:00", "2023-05-02 10:00:00", "2023-05-09 10:00:00"])
    for part, clicked, past in (("train", 1, [0]), ("validation", 2, [0, 1])):
        (tmp_path / part).mkdir()
        shown = {"user_id": [7], "impression_time": [times[clicked]], "article_ids_inview": [[clicked, 9]]}
        pd.DataFrame({**shown, "article_ids_clicked": [[clicked]]}).to_parquet(tmp_path / part / "behaviors.parquet")
        history = {"user_id": [7], "article_id_fixed": [past], "impression_time_fixed": [[times[n] for n in past]]}
        pd.DataFrame(history).to_parquet(tmp_path / part / "history.parquet")
    assert load_plugins().parts("loader")["ebnerd"].part.recognises(tmp_path) > 0.5
    raw = read("ebnerd", tmp_path)
    assert rows_of(raw, ("timestamp",))[0] == [(7, n, str(time)) for n, time in enumerate(times)]
    assert raw.impressions is not None
    assert len(raw.impressions) == 2


def test_impressions_are_carried(tmp_path: Path) -> None:
    raw = read("mind", written(tmp_path, CASES["mind"].files))
    assert raw.impressions is not None
    assert [list(shown) for shown in raw.impressions["shown"]] == [["N55689", "N35729"], ["N20678", "N39317"]]
    assert [list(clicked) for clicked in raw.impressions["clicked"]] == [["N55689"], ["N39317"]]


def test_impressions_and_histories_of_ebnerd(tmp_path: Path) -> None:
    moment = pd.Timestamp("2023-05-20 10:00:00")
    behaviours = {"impression_id": [1, 2], "user_id": [7, 8], "impression_time": [moment, moment],
                  "article_ids_inview": [[1, 2, 3], [4, 5]], "article_ids_clicked": [[2], [4]]}  # fmt: skip
    pd.DataFrame(behaviours).to_parquet(tmp_path / "behaviors.parquet")
    before = {
        "user_id": [7],
        "article_id_fixed": [[9, 8]],
        "impression_time_fixed": [[moment - pd.Timedelta(days=2)] * 2],
    }
    pd.DataFrame(before).to_parquet(tmp_path / "history.parquet")
    pd.DataFrame({"article_id": [1, 2], "title": ["a", "b"]}).to_parquet(tmp_path / "articles.parquet")
    raw = read("ebnerd", tmp_path)
    events, items = rows_of(raw, ())
    assert sorted(events[:2]) == [(7, 8), (7, 9)]
    assert events[2:] == [(7, 2), (8, 4)]
    assert dict(zip(items["item"], items["title"], strict=True))[2] == "b"
    assert raw.impressions is not None
    assert [list(shown) for shown in raw.impressions["shown"]] == [[1, 2, 3], [4, 5]]


def test_a_workbook_is_a_table(tmp_path: Path) -> None:
    sheet = pd.DataFrame({
        "Invoice": ["1", "2"], "StockCode": ["85123A", "22"], "Quantity": [6, 1], "Customer ID": [17850.0, 13047.0],
        "InvoiceDate": pd.to_datetime(["2010-12-01 08:26", "2010-12-01 08:28"]),
    })  # fmt: skip
    with pd.ExcelWriter(tmp_path / "online_retail_II.xlsx") as book:
        sheet.to_excel(book, sheet_name="Year 2009-2010", index=False)
        sheet.assign(StockCode=["x", "y"]).to_excel(book, sheet_name="Year 2010-2011", index=False)
    events, _ = rows_of(read("online_retail", tmp_path), ("weight",))
    assert sorted(events) == [(13047, "22", 1.0), (13047, "y", 1.0), (17850, "85123A", 6.0), (17850, "x", 6.0)]


@pytest.mark.parametrize("part", [info.part for info in load_plugins().all_parts("loader")], ids=lambda part: part.name)
def test_a_folder_that_is_not_there_names_the_address(part: Any, tmp_path: Path) -> None:
    if issubclass(part, Published):
        with pytest.raises(DataError, match=r"There is no .*nowhere. Get the data set from https?://"):
            read(part.name, tmp_path / "nowhere")
        with pytest.raises(DataError, match="it has none of"):
            read(part.name, tmp_path)


def test_a_file_with_a_name_of_its_own_is_read_by_its_first_line(tmp_path: Path) -> None:
    write: Callable[[str], Any] = (tmp_path / "new.csv").write_text
    write("timestamp,visitorid,event,itemid,transactionid\n1400000000000,1,view,2,\n1400000000000,2,view,3,\n")
    assert len(rows_of(read("retailrocket", tmp_path / "new.csv"), ())[0]) == 2
