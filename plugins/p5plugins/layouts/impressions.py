"""News: impressions with what was shown and clicked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.raw import RawData
from p5core.data.tables.files import open_table
from p5core.data.tables.metadata import read_features, tidy_metadata
from p5core.data.tables.sniff import Layout
from p5core.data.tables.sql import quote_text
from p5core.errors import DataError
from p5plugins.loaders.table import Table, TableConfig

__all__ = ["read_ebnerd", "read_mind"]

CLICKED = "article_ids_clicked"


def _copy(query: str, target: Path) -> None:
    duckdb.connect().execute(f"COPY ({query}) TO {quote_text(str(target))} (FORMAT parquet)")


def _listed(files: list[Path]) -> str:
    return "[" + ", ".join(quote_text(str(file)) for file in files) + "]"


def read_mind(files: list[Path], scratch: Path) -> RawData:
    """Clicks of the history, then those of the impressions; the impressions themselves with what was shown.

    Several files are the parts of a set, such as train and dev; the history of a user's first impression counts.
    """
    columns = ("impression", USER, TIMESTAMP, "history", "shown")
    tables = [open_table(file, Layout("\t", False, "", columns=columns)) for file in files]
    relation = " UNION ALL ".join(f"SELECT * FROM {table.relation}" for table in tables)
    read = f"try_strptime({TIMESTAMP}, '%m/%d/%Y %I:%M:%S %p')"
    rows = f"SELECT row_number() OVER () AS n, {USER}, {read} AS {TIMESTAMP}, history, shown FROM ({relation})"

    def cells(column: str) -> str:
        lists = f"SELECT n, {USER}, {TIMESTAMP}, string_split({column}, ' ') AS cells FROM ({rows})"
        return (
            f"SELECT n, {USER}, {TIMESTAMP}, unnest(cells) AS cell, unnest(range(len(cells))) AS place FROM ({lists})"
        )

    earliest = f"min({{'begin': {TIMESTAMP}, 'n': n}}) AS earliest"
    first = (
        f"SELECT {USER}, earliest.n AS n, earliest.begin AS begin FROM "
        f"(SELECT {USER}, {earliest} FROM ({rows}) WHERE history IS NOT NULL GROUP BY {USER})"
    )
    # The history has no times: it happened before the first impression of its user.
    past = (
        f"SELECT 0 AS late, n, place, {USER}, cell AS {ITEM}, begin - INTERVAL 1 SECOND AS {TIMESTAMP} "
        f"FROM ({cells('history')}) JOIN ({first}) f USING ({USER}, n)"
    )
    clicked = (
        f"SELECT 1 AS late, n, place, {USER}, cell[:-3] AS {ITEM}, {TIMESTAMP} FROM ({cells('shown')}) "
        "WHERE cell LIKE '%-1'"
    )
    target = scratch / "mind.parquet"
    _copy(
        f"SELECT {USER}, {ITEM}, {TIMESTAMP} FROM ({past} UNION ALL BY NAME {clicked}) ORDER BY late, n, place", target
    )
    raw = Table(TableConfig(path=target)).load()
    impressions = tables[0].frame(_shown_and_clicked(rows))
    news = [frame for file in files if (frame := _news(file.parent / "news.tsv")) is not None]
    items = pd.concat(news).drop_duplicates(ITEM, ignore_index=True) if news else None
    return replace(raw, impressions=impressions, items=items)


def _shown_and_clicked(rows: str) -> str:
    return (
        f"SELECT {USER}, {TIMESTAMP}, list_transform(lists, lambda s: regexp_replace(s, '-[01]$', '')) AS shown, "
        "list_transform(list_filter(lists, lambda s: s LIKE '%-1'), lambda s: s[:-3]) AS clicked "
        f"FROM (SELECT *, string_split(shown, ' ') AS lists FROM ({rows})) ORDER BY n"
    )


def _news(file: Path) -> pd.DataFrame | None:
    if not file.is_file():
        return None
    columns = (ITEM, "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities")
    table = open_table(file, Layout("\t", False, "", columns=columns))
    frame, _ = tidy_metadata(read_features(table, ITEM), ITEM, table.source)
    return None if frame is None else frame.drop(columns=["url", "title_entities", "abstract_entities"])


def read_ebnerd(files: list[Path], scratch: Path) -> RawData:
    """Read articles of the histories, then clicked ones of the impressions; the impressions with what was shown.

    Several files are the parts of a set, train and validation: what the history of one repeats of another counts once.
    """
    behaviours = f"read_parquet({_listed(files)}, union_by_name = true)"  # that of the test part has no clicks
    if not any(CLICKED in pq.read_schema(file).names for file in files):
        raise DataError(f"{files[0]} has no column '{CLICKED}', as the test part has none. Name the other parts.")
    clicked = f"SELECT user_id AS {USER}, unnest({CLICKED}) AS {ITEM}, impression_time AS {TIMESTAMP} FROM {behaviours}"
    histories = [path for file in files if (path := file.parent / "history.parquet").is_file()]
    queries = [clicked]
    if histories:
        queries.append(
            f"SELECT user_id AS {USER}, unnest(article_id_fixed) AS {ITEM}, "
            f"unnest(impression_time_fixed) AS {TIMESTAMP} FROM read_parquet({_listed(histories)})"
        )
    target = scratch / "ebnerd.parquet"
    joined = " UNION ALL ".join(queries) if len(files) == 1 else f"{' UNION '.join(queries)} ORDER BY ALL"
    _copy(joined, target)
    raw = Table(TableConfig(path=target)).load()
    impressions = (
        duckdb.connect()
        .execute(
            f"SELECT user_id AS {USER}, impression_time AS {TIMESTAMP}, article_ids_inview AS shown, "
            f"{CLICKED} AS clicked FROM {behaviours}"
        )
        .df()
    )
    places = (files[0].parent, files[0].parent.parent)  # published beside the folders train and validation
    articles = next((path for folder in places if (path := folder / "articles.parquet").is_file()), Path())
    items = None
    if articles.is_file():
        table = open_table(articles, Layout())
        items, _ = tidy_metadata(read_features(table, ITEM, "article_id"), ITEM, table.source, "article_id")
    return replace(raw, impressions=impressions, items=items)
