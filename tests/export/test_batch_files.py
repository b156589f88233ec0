"""`p5 score` and the files that people have: read as training reads them, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from p5core.cli import build
from p5core.errors import DataError
from p5core.plugins.discovery import load_plugins
from p5export.batch import recommend as batch
from p5export.batch.histories import Columns
from p5export.batch.recommend import Counts, score_file
from p5export.runtime import OnnxRecommender

REGISTRY = load_plugins()


@pytest.fixture(scope="module")
def texts(histories: tuple[Path, Path]) -> OnnxRecommender:
    return OnnxRecommender(histories[1], threads=1)


@pytest.fixture(scope="module")
def numbers(users: tuple[Path, Path]) -> OnnxRecommender:
    return OnnxRecommender(users[1], threads=1)


def run(model: OnnxRecommender, events: Path, output: Path) -> Counts:
    return score_file(model, events, output, 3, Columns(), lambda done, total: None)


def log(model: OnnxRecommender, n_users: int = 30) -> pd.DataFrame:
    """Events of users, in order of time."""
    known = [one.item for one in model.recommend([], 9)]
    rows = [
        (f"user {user}", known[(user + step) % 9], 1_600_000_000 + step) for user in range(n_users) for step in range(5)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("user,item,timestamp\nu1,i1,1\nu2,i2,2\nu3,i3,3\nu4,i4\nu5,i5,5\n", "bad.csv, line 5: 2 columns where 3"),
        ("user,item,timestamp\nu1,i1,1\nu2,i2,2\nu6,10,6,extra\n", "bad.csv, line 4: 4 columns where 3"),
        ("user,item,timestamp\nu1,i1,1\nu2,i2,2\nu3,i3,xx\n", "bad.csv, row 4, column 'timestamp': 'xx' is no time"),
        ("user,item,timestamp\nu1,i1,1/2/2024\nu2,i2,3/4/2024\n", "Set day_first to true or false, or time_format"),
        ("user,item\nu1,caf\u00e9\n".encode("latin-1"), "not valid (UTF-8|utf-8). Set encoding"),
    ],
    ids=["short", "long", "time", "ambiguous", "latin-1"],
)
def test_a_bad_text_file_is_read_as_data_describe_reads_it(
    content: str | bytes, match: str, texts: OnnxRecommender, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=match):
        score_file(texts, path, tmp_path / "out.parquet", 3, Columns(), lambda done, total: None)
    described = CliRunner().invoke(build(REGISTRY), ["data", "describe", str(path)])
    assert re.search(match, " ".join(described.output.split())), described.output
    assert list(tmp_path.iterdir()) == [path]


def test_other_columns_that_training_knows_are_known_here(texts: OnnxRecommender, tmp_path: Path) -> None:
    frame = log(texts, 6)
    frame.rename(columns={"user": "reviewerID", "item": "asin", "timestamp": "unixReviewTime"}).to_csv(
        tmp_path / "amazon.csv", index=False
    )
    frame.to_csv(tmp_path / "plain.csv", index=False)
    found = {}
    for name in ("amazon", "plain"):
        score_file(
            texts, tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet", 3, Columns(), lambda done, total: None
        )
        found[name] = pd.read_parquet(tmp_path / f"{name}.parquet")
    pd.testing.assert_frame_equal(found["amazon"], found["plain"])


def test_a_column_of_times_that_is_not_used_is_said(texts: OnnxRecommender, tmp_path: Path) -> None:
    log(texts, 6).rename(columns={"timestamp": "bought"}).assign(bought="2024-05-06 07:08:09").to_csv(
        tmp_path / "events.csv", index=False
    )
    said = CliRunner().invoke(
        build(REGISTRY),
        ["score", str(texts.bundle.folder), str(tmp_path / "events.csv"), str(tmp_path / "out.parquet")],
    )
    assert said.exit_code == 0, said.output
    assert "Note: 'bought' looks like a time and is not used; take it with --time-column bought" in said.output


def test_day_first_is_said_where_the_column_cannot_tell(texts: OnnxRecommender, tmp_path: Path) -> None:
    known = [one.item for one in texts.recommend([], 3)]
    path = tmp_path / "dates.csv"
    path.write_text(f"user,item,date\nu,{known[0]},01/03/2024\nu,{known[1]},02/01/2024\n")
    for option, history in (("--day-first", known[1::-1]), ("--month-first", known[:2])):
        said = CliRunner().invoke(
            build(REGISTRY),
            ["score", str(texts.bundle.folder), str(path), str(tmp_path / "out.parquet"), option, "-k", "4"],
        )
        assert said.exit_code == 0, said.output
        wanted = [one.item for one in texts.recommend(history, 4)]
        assert pd.read_parquet(tmp_path / "out.parquet")["item"].tolist() == wanted


@pytest.mark.parametrize("value", [5, 2**63])
def test_unsigned_ids_are_integers_as_far_as_they_fit(value: int, numbers: OnnxRecommender, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"user": pa.array([value], pa.uint64()), "item": pa.array([value], pa.uint64())}),
        tmp_path / "u.parquet",
    )
    if value < 2**63:
        counts = score_file(
            numbers, tmp_path / "u.parquet", tmp_path / "out.parquet", 3, Columns(), lambda done, total: None
        )
        assert counts.histories == 1
        return
    with pytest.raises(DataError, match="9223372036854775808 is no 64-bit integer"):
        score_file(numbers, tmp_path / "u.parquet", tmp_path / "out.parquet", 3, Columns(), lambda done, total: None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(
    number: signal.Signals, texts: OnnxRecommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    log(texts).to_csv(tmp_path / "work" / "events.csv", index=False)
    (tmp_path / "work" / "out.parquet").write_bytes(b"old")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    answered = batch._answers

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return answered(*arguments)

    monkeypatch.setattr(batch, "_answers", interrupted)
    arguments = [texts.bundle.folder, tmp_path / "work" / "events.csv", tmp_path / "work" / "out.parquet"]
    said = CliRunner().invoke(build(REGISTRY), ["score", *map(str, arguments)])
    assert said.exit_code == 130, said.output
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["events.csv", "out.parquet"]
    assert (tmp_path / "work" / "out.parquet").read_bytes() == b"old"
    assert list((tmp_path / "temporary").iterdir()) == []
