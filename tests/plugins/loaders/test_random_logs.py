"""Random logs in every form that a table can have come back equal."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.data.raw import RawData
from p5plugins.loaders.dataframe import InMemory, InMemoryConfig
from p5plugins.loaders.sql import SQL, SQLConfig
from p5plugins.loaders.table import Table, TableConfig

N_LOGS = int(os.environ.get("P5_RANDOM_LOGS", "20"))
"""Of each of ten forms; 2,000 in all in continuous integration."""

WORDS = ["a", "B", "é", "日本", "x y", "it's", 'say "hi"', "a,b", "p|q", "007", "4.50", "-", "none", "a;b", "1e5", "+3"]
FORMATS: list[Callable[[datetime], str]] = [
    lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
    lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    lambda moment: moment.strftime("%d.%m.%Y %H:%M:%S"),
    lambda moment: moment.strftime("%m/%d/%Y %I:%M:%S %p"),
    lambda moment: moment.strftime("%a %b %d %H:%M:%S +0000 %Y"),
    lambda moment: moment.strftime("%Y%m%d%H%M%S"),
    lambda moment: str(int(moment.timestamp())),
    lambda moment: str(int(moment.timestamp()) * 1000),
]
Rows = list[tuple[Any, Any, datetime, float | None]]


def random_rows(rng: np.random.Generator) -> Rows:
    """Events of unequal times, the first and last such that no date is ambiguous; some lack an id or a rating."""
    n = int(rng.integers(4, 30))
    kinds = [rng.random() < 0.5 for _ in range(2)]
    ids = [
        [int(value) for value in rng.integers(-5, 10**12, 6)]
        if is_integer
        else [str(word) for word in rng.permutation(WORDS)[:6]]
        for is_integer in kinds
    ]
    first = datetime(2013, 1, 25, 3, 4, 5, tzinfo=UTC).timestamp()
    times = np.sort(rng.choice(300_000_000, n, replace=False)) + first
    rows: Rows = []
    for moment in rng.permutation(times):
        user, item = (values[int(rng.integers(len(values)))] for values in ids)
        rating = None if rng.random() < 0.1 else float(rng.integers(1, 11)) / 2
        rows.append((user, item if rng.random() > 0.1 else None, datetime.fromtimestamp(float(moment), UTC), rating))
    whole = [
        (ids[0][place % 6], ids[1][place % 6], datetime(2013, 1, 25, place, tzinfo=UTC), 4.0) for place in range(6)
    ]
    return whole + rows


def expected(rows: Rows, with_ratings: bool) -> list[tuple[Any, ...]]:
    """The rows with an item and a rating, by user and oldest first."""
    kept = [row for row in rows if row[1] is not None and (row[3] is not None or not with_ratings)]
    kept.sort(key=lambda row: (row[0] if isinstance(row[0], int) else row[0].encode(), row[2]))
    return [(user, item, moment, *([rating] if with_ratings else [])) for user, item, moment, rating in kept]


def read(raw: RawData, with_ratings: bool) -> list[tuple[Any, ...]]:
    frame = event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])
    moments = [moment.to_pydatetime().replace(tzinfo=UTC) for moment in frame["timestamp"]]
    columns = [frame["user"], frame["item"], moments, *([frame["rating"]] if with_ratings else [])]
    return list(zip(*columns, strict=True))


def as_text(rows: Rows, rng: np.random.Generator, separator: str, encoding: str, *, quoted: bool) -> tuple[bytes, bool]:
    """A text file, and whether it has ratings."""
    written = FORMATS[int(rng.integers(len(FORMATS)))]
    gap = str(rng.choice(["", "NULL", "NA", "nan", r"\N"]))
    with_ratings = bool(rng.random() < 0.7)
    pad = " " if rng.random() < 0.3 and not quoted else ""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=str(rng.choice(["\n", "\r\n"])))
    names = ["user_id", "item_id", "timestamp", "rating"]
    order = [int(place) for place in rng.permutation(4) if place < 3 or with_ratings]
    writer.writerow([names[place] for place in order])
    for user, item, moment, rating in rows:
        cells = [str(user), gap if item is None else str(item), written(moment), gap if rating is None else str(rating)]
        writer.writerow([cells[place] + pad for place in order])
    return out.getvalue().encode(encoding), with_ratings


@pytest.mark.parametrize(
    ("separator", "encoding", "quoted"),
    [(",", "utf-8", False), (";", "utf-8", True), ("\t", "utf-8", True), ("|", "utf-16", True), (",", "gb18030", True)],
)
def test_random_text_files_come_back_equal(tmp_path: Path, separator: str, encoding: str, quoted: bool) -> None:
    for seed in range(N_LOGS):
        rng = np.random.default_rng(seed)
        rows = random_rows(rng)
        content, with_ratings = as_text(rows, rng, separator, encoding, quoted=quoted)
        path = tmp_path / "log.csv"
        path.write_bytes(content)
        options = {} if encoding.startswith("utf") else {"encoding": encoding}
        raw = Table(TableConfig(path=path, quote='"', **options)).load()
        assert read(raw, with_ratings) == expected(rows, with_ratings), f"seed {seed}: {raw.notes}"


def frame_of(rows: Rows) -> pd.DataFrame:
    """The rows as a DataFrame, integers with gaps as pandas' nullable ones."""
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp", "rating"])
    integers = all(isinstance(item, int) for _, item, *_ in rows if item is not None)
    return frame.assign(item=frame["item"].astype("Int64")) if integers else frame


def in_memory(rows: Rows, folder: Path) -> RawData:
    return InMemory(InMemoryConfig(interactions=frame_of(rows))).load()


def from_parquet(rows: Rows, folder: Path) -> RawData:
    frame = frame_of(rows)
    frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None)).to_parquet(folder / "log.parquet")
    return Table(TableConfig(path=folder / "log.parquet")).load()


def from_json_lines(rows: Rows, folder: Path) -> RawData:
    lines = [
        {"user": user, "item": item, "timestamp": moment.isoformat(), "rating": rating}
        for user, item, moment, rating in rows
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Table(TableConfig(path=folder / "log.jsonl")).load()


def from_records(rows: Rows, folder: Path) -> RawData:
    """One line a user, with a list of events."""
    by_user: dict[Any, list[dict[str, Any]]] = {}
    for user, item, moment, rating in rows:
        by_user.setdefault(user, []).append({"item": item, "at": {"time": moment.isoformat()}, "rating": rating})
    lines = [{"user": user, "events": events} for user, events in by_user.items()]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Table(TableConfig(path=folder / "log.jsonl", timestamp="at.time")).load()


def from_sql(rows: Rows, folder: Path) -> RawData:
    path = folder / "log.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        kinds = ["INTEGER" if isinstance(value, int) else "TEXT" for value in rows[0][:2]]
        database.execute(f"CREATE TABLE log (user {kinds[0]}, item {kinds[1]}, timestamp TEXT, rating REAL)")
        cells = [(user, item, moment.isoformat(), rating) for user, item, moment, rating in rows]
        database.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", cells)
    return SQL(SQLConfig(url=f"sqlite:///{path}", query="SELECT * FROM log ORDER BY rowid")).load()


@pytest.mark.parametrize("loaded", [from_json_lines, from_records, from_parquet, from_sql, in_memory])
def test_random_tables_come_back_equal(tmp_path: Path, loaded: Callable[[Rows, Path], RawData]) -> None:
    for seed in range(N_LOGS):
        rows = random_rows(np.random.default_rng(seed))
        raw = loaded(rows, tmp_path)
        assert read(raw, True) == expected(rows, True), f"seed {seed}: {raw.notes}"
