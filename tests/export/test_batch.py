"""`p5 score`: every history of a file, and nothing but a whole file of answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import p5core
from p5core.cli import build
from p5core.config.document import parse_experiment
from p5core.errors import DataError
from p5core.plugins.discovery import load_plugins
from p5export.batch import recommend as batch
from p5export.batch.histories import Columns
from p5export.batch.recommend import Counts, score_file
from p5export.bundle.bundle import zip_folder
from p5export.cli.score import score
from p5export.export import export_run
from p5export.graph.serving import ExportOptions
from p5export.runtime import OnnxRecommender

REGISTRY = load_plugins()


def exported(folder: Path, backbone: str, task: str, id_kind: str) -> OnnxRecommender:
    data = {"name": "synthetic", "n_users": 50, "n_items": 40, "n_events": 500, "n_clusters": 8, "ratings": True,
            "id_kind": id_kind}  # fmt: skip
    tree = {
        "data": data,
        "model": {"width": 8, "max_length": 10, "backbone": {"name": backbone}},
        "stages": [{"tasks": [{"name": task}], "epochs": 1}],
        "evaluate": {"resamples": 10},
    }
    run = p5core.run(parse_experiment(tree), folder, "run", REGISTRY)
    made = export_run(run, folder / "export", REGISTRY, ExportOptions(metadata=["title"]), lambda text: None)
    return OnnxRecommender(made.folder, threads=1)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> OnnxRecommender:
    return exported(tmp_path_factory.mktemp("texts"), "gru", "next_item", "string")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> OnnxRecommender:
    return exported(tmp_path_factory.mktemp("numbers"), "mlp", "next_item", "int64")


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> OnnxRecommender:
    return exported(tmp_path_factory.mktemp("users"), "mf", "rating", "int64")


def log(model: OnnxRecommender, n_users: int = 30, as_text: bool = True) -> pd.DataFrame:
    """Shuffled events of users with 0 to 29 of them, many at equal times, some with items that nobody knows."""
    random = np.random.default_rng(0)
    known = [one.item for one in model.recommend([], 30)]
    strange: str | int = "unheard of" if model.bundle.id_kind == "string" else 10**17
    who = np.repeat(np.arange(n_users), np.arange(n_users) % 30)
    frame = pd.DataFrame({"user": who, "item": [[*known, strange][one] for one in random.integers(0, 31, len(who))]})
    frame["user"] = frame["user"].map("user {}".format) if as_text else frame["user"] - 5
    frame["timestamp"] = random.integers(1_600_000_000, 1_600_000_005, len(who))
    return frame.iloc[random.permutation(len(who))].reset_index(drop=True)


def expected(model: OnnxRecommender, frame: pd.DataFrame, k: int, time: str | None = "timestamp") -> pd.DataFrame:
    """One history after the other."""
    ordered = frame.sort_values(time, kind="stable") if time else frame
    rows = [
        (user, rank, one.item, one.score, one.metadata["title"])
        for user, group in ordered.groupby("user", sort=True)
        for rank, one in enumerate(model.recommend(group["item"].tolist(), k), start=1)
    ]
    return pd.DataFrame(rows, columns=["user", "rank", "item", "score", "title"])


def assert_same(path: Path, wanted: pd.DataFrame) -> None:
    found = pd.read_parquet(path)
    assert found.columns.tolist() == wanted.columns.tolist()
    for column in ("user", "rank", "item", "title"):
        assert found[column].tolist() == wanted[column].tolist(), column
    assert found["score"].to_numpy() == pytest.approx(wanted["score"].to_numpy(), rel=1e-4, abs=1e-5)


def run(model: OnnxRecommender, events: Path, output: Path, k: int = 5, **columns: str) -> Counts:
    return score_file(model, events, output, k, Columns(**columns), lambda done, total: None)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("kind", ["texts", "numbers"])
def test_answers_are_those_of_each_history_alone(
    kind: str, suffix: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: OnnxRecommender = request.getfixturevalue(kind)
    frame, path = log(model, as_text=kind == "texts"), tmp_path / f"events{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    counts = run(model, path, tmp_path / "out.parquet")
    assert counts == Counts(histories=29, rows=len(frame), dropped=0)
    assert_same(tmp_path / "out.parquet", expected(model, frame, 5))
    schema = pq.read_schema(tmp_path / "out.parquet")
    id_type = pa.string() if kind == "texts" else pa.int64()
    assert schema.types == [id_type, pa.int32(), id_type, pa.float32(), pa.string()]


def test_small_chunks_and_calls_change_nothing(
    texts: OnnxRecommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = log(texts, n_users=60)
    frame.to_parquet(tmp_path / "events.parquet")
    asked: list[int] = []

    class Watched(OnnxRecommender):
        def recommend_batch(self, many: Any, k: int = 10) -> Any:
            lengths = [len(one) for one in many]
            asked.append(len(lengths))
            assert len(lengths) * max(lengths) <= 40
            return super().recommend_batch(many, k)

    monkeypatch.setattr(batch, "CHUNK", 7)
    monkeypatch.setattr(batch, "CHUNK_IDS", 90)
    monkeypatch.setattr(batch, "BATCH", 3)
    monkeypatch.setattr(batch, "BATCH_IDS", 40)
    seen: list[tuple[int, int]] = []
    model = Watched(texts.bundle.folder, threads=1)
    score_file(model, tmp_path / "events.parquet", tmp_path / "out.parquet", 5, Columns(), lambda *at: seen.append(at))
    assert_same(tmp_path / "out.parquet", expected(texts, frame, 5))
    assert sum(asked) == 58
    assert set(asked) == {1, 2, 3}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (len(frame), len(frame))
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == len(seen) >= 9


def test_order_is_time_then_file_and_file_alone_without_a_time(texts: OnnxRecommender, tmp_path: Path) -> None:
    frame = log(texts).rename(columns={"timestamp": "noted"})
    frame.to_parquet(tmp_path / "events.parquet")
    run(texts, tmp_path / "events.parquet", tmp_path / "file.parquet")
    assert_same(tmp_path / "file.parquet", expected(texts, frame, 5, time=None))
    run(texts, tmp_path / "events.parquet", tmp_path / "time.parquet", time="noted")
    assert_same(tmp_path / "time.parquet", expected(texts, frame, 5, time="noted"))
    assert not pd.read_parquet(tmp_path / "file.parquet").equals(pd.read_parquet(tmp_path / "time.parquet"))
    moments = pd.to_datetime(frame["noted"], unit="s")
    for name, times in {"dates": moments, "texts": moments.astype(str)}.items():
        frame.assign(Time=times).to_parquet(tmp_path / f"{name}.parquet")
        run(texts, tmp_path / f"{name}.parquet", tmp_path / f"out {name}.parquet")
        assert_same(tmp_path / f"out {name}.parquet", expected(texts, frame, 5, time="noted"))


def test_columns_are_guessed_or_named(texts: OnnxRecommender, tmp_path: Path) -> None:
    frame = log(texts)
    wanted = expected(texts, frame, 5)
    path, output = tmp_path / "it's [odd].parquet", tmp_path / "out.parquet"
    frame.set_axis(["UserId", "movieId", "ts"], axis=1).to_parquet(path)
    run(texts, path, output)
    assert_same(output, wanted)
    frame.set_axis(['who "is" it', "what", "when"], axis=1).to_parquet(path)
    run(texts, path, output, user='who "is" it', item="what", time="when")
    assert_same(output, wanted)


def test_users_without_known_items_get_popular_ones(numbers: OnnxRecommender, tmp_path: Path) -> None:
    pd.DataFrame({"user": [3], "item": [10**17]}).to_parquet(tmp_path / "events.parquet")
    run(numbers, tmp_path / "events.parquet", tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["item"].tolist() == [one.item for one in numbers.recommend([], 5)]


def test_more_than_there_is_gives_what_there_is(texts: OnnxRecommender, tmp_path: Path) -> None:
    item = texts.recommend([], 1)[0].item
    pd.DataFrame({"user": ["a"], "item": [item]}).to_parquet(tmp_path / "events.parquet")
    run(texts, tmp_path / "events.parquet", tmp_path / "out.parquet", k=10**9)
    assert pd.read_parquet(tmp_path / "out.parquet")["rank"].tolist() == list(range(1, 40))


@pytest.mark.parametrize("kind", ["texts", "numbers"])
def test_a_row_may_be_a_history(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: OnnxRecommender = request.getfixturevalue(kind)
    known = [one.item for one in model.recommend([], 9)]
    histories = [known, [], known[:2], None, [known[3], None]]
    read = [known, [], known[:2], [], known[3:4]]
    item = pa.string() if kind == "texts" else pa.int32()
    table = pa.table({"user": ["z", "y", "x", "z", None], "history": pa.array(histories, pa.list_(item))})
    pq.write_table(table, tmp_path / "named.parquet")
    pq.write_table(table.drop_columns("user"), tmp_path / "numbered.parquet")
    assert run(model, tmp_path / "named.parquet", tmp_path / "out.parquet") == Counts(4, 4, 1)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["user"].tolist() == [user for user in "zyxz" for _ in range(5)]
    assert found["item"].tolist() == [one.item for history in read[:4] for one in model.recommend(history, 5)]
    assert run(model, tmp_path / "numbered.parquet", tmp_path / "out.parquet") == Counts(5, 5, 0)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["user"].tolist() == [user for user in range(5) for _ in range(5)]
    assert found["item"].tolist() == [one.item for history in read for one in model.recommend(history, 5)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_models_of_users_need_users_alone(users: OnnxRecommender, suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": pd.array([7, -999, 7, None, 2], dtype="Int64"), "one": "x"})
    path = tmp_path / f"events{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    assert run(users, path, tmp_path / "out.parquet") == Counts(3, 3, 1)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["user"].tolist() == [user for user in (-999, 2, 7) for _ in range(5)]
    assert found["item"].tolist() == [one.item for user in (-999, 2, 7) for one in users.recommend(user, 5)]


def test_users_of_text_files_keep_their_spelling(numbers: OnnxRecommender, tmp_path: Path) -> None:
    item = numbers.recommend([], 1)[0].item
    path, output = tmp_path / "events.csv", tmp_path / "out.parquet"
    for spellings, wanted in ((["007", "8"], ["007", "8"]), (["8", "-7"], [-7, 8])):
        path.write_text("user,item\n" + "".join(f"{one},{item}\n" for one in spellings))
        run(numbers, path, output, k=1)
        assert pd.read_parquet(output)["user"].tolist() == wanted


def test_rows_without_an_id_or_a_time_are_left_out_and_counted(texts: OnnxRecommender, tmp_path: Path) -> None:
    frame = log(texts)
    holes = pd.DataFrame({"user": [None, "user 3", "user 3"], "item": [frame["item"][0], None, frame["item"][0]],
                          "timestamp": [1.6e9, 1.6e9, None]})  # fmt: skip
    pd.concat([holes, frame]).to_parquet(tmp_path / "events.parquet")
    assert run(texts, tmp_path / "events.parquet", tmp_path / "out.parquet") == Counts(29, len(frame), 3)
    assert_same(tmp_path / "out.parquet", expected(texts, frame, 5))


WRONG: list[tuple[str, dict[str, Any] | bytes, dict[str, str], str]] = [
    ("e.parquet", {"user": [1], "item": ["a"]}, {"item": "itme"}, r"has no column 'itme'\. Did you mean 'item'\?"),
    ("e.parquet", {"user": [1], "item": ["a"]}, {"time": "xyz"}, r"has no column 'xyz'\. Its columns: user, item\."),
    ("e.parquet", {"a": [1], "item": ["a"]}, {}, r"no column that looks like the user\. .*Name one with --user-column"),
    ("e.parquet", {"user": [1], "b": ["a"]}, {}, r"no column that looks like the item\. .*Name one with --item-column"),
    ("e.parquet", {"user": [1], "item": [7]}, {}, "'item' has type BIGINT, but the item ids of this model are texts"),
    ("e.parquet", {"user": [1], "history": [[7]]}, {}, "'history' has type BIGINT, but the item ids of this model are"),
    ("e.parquet", {"user": [1.5], "item": ["a"]}, {}, "'user' has type DOUBLE; ids are texts or integers"),
    ("e.parquet", {"user": [[1]], "history": [["a"]]}, {}, r"'user' has type BIGINT\[\]; ids are texts or integers"),
    ("e.parquet", {"user": [1], "history": ["a b"]}, {}, "'history' has type VARCHAR; a history is a list of ids"),
    ("e.parquet", {"user": pa.nulls(1, pa.string()), "history": [["a"]]}, {}, "has no rows with a user"),
    ("e.parquet", {"user": ["u"], "item": [""]}, {}, "has no row with a user and an item"),
    ("e.csv", b"user,item\n", {}, "has no rows"),
    ("e.csv", b"user,item,time\nu,a,yesterday\n", {}, "row 2, column 'timestamp': 'yesterday' is no time"),
    ("e.csv", b"", {}, "e.csv is empty"),
    ("e.parquet", b"PAR1 no more", {}, "e.parquet is no Parquet file or is damaged"),
    ("e.doc", b"x", {}, r"unknown format '.doc'\. Known: .csv, .tsv"),
]


@pytest.mark.parametrize(("name", "content", "columns", "match"), WRONG)
def test_files_that_cannot_be_used_leave_the_old_answers(
    name: str, content: dict[str, Any] | bytes, columns: dict[str, str], match: str, texts: OnnxRecommender,
    tmp_path: Path,
) -> None:  # fmt: skip
    path, output = tmp_path / name, tmp_path / "out.parquet"
    path.write_bytes(content) if isinstance(content, bytes) else pq.write_table(pa.table(content), path)
    output.write_text("old answers")
    with pytest.raises(DataError, match=match):
        run(texts, path, output, **columns)
    assert output.read_text() == "old answers"
    assert {one.name for one in tmp_path.iterdir()} == {name, "out.parquet"}


def test_texts_are_no_integers(numbers: OnnxRecommender, users: OnnxRecommender, tmp_path: Path) -> None:
    for value in ("abc", "1.5", str(2**63)):
        (tmp_path / "e.csv").write_text(f"user,item\n1,2\n1,{value}\n")
        with pytest.raises(DataError, match=f"column 'item': '{value}' is no 64-bit integer, but the item ids"):
            run(numbers, tmp_path / "e.csv", tmp_path / "out.parquet")
    pd.DataFrame({"user": ["u"], "item": ["7"]}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="'item' has type VARCHAR, but the item ids of this model are 64-bit integers"):
        run(numbers, tmp_path / "e.parquet", tmp_path / "out.parquet")
    with pytest.raises(DataError, match="'user' has type VARCHAR, but the user ids of this model are 64-bit integers"):
        run(users, tmp_path / "e.parquet", tmp_path / "out.parquet")
    (tmp_path / "e.csv").write_text("user\n")
    with pytest.raises(DataError, match="has no rows with a user"):
        run(users, tmp_path / "e.csv", tmp_path / "out.parquet")


def test_places_that_cannot_be_written_are_refused_first(texts: OnnxRecommender, tmp_path: Path) -> None:
    events = tmp_path / "events.parquet"
    log(texts).to_parquet(events)
    before = events.read_bytes()
    with pytest.raises(DataError, match=r"events\.parquet is the file of events itself"):
        run(texts, events, events)
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        run(texts, events, tmp_path / "nowhere" / "out.parquet")
    with pytest.raises(DataError, match=r"is a folder\. Name a file in it"):
        run(texts, events, tmp_path)
    with pytest.raises(DataError, match=r"answers are written as Parquet\. Name it out\.parquet"):
        run(texts, events, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(DataError, match=r"There is no file .*lost\.parquet"):
        run(texts, tmp_path / "lost.parquet", tmp_path / "out.parquet")
    assert events.read_bytes() == before


def test_memory_is_a_size_that_suffices(texts: OnnxRecommender, tmp_path: Path) -> None:
    frame = log(texts)
    pd.concat([frame] * 300).to_parquet(tmp_path / "events.parquet")
    for memory, match in (("much", r"memory 'much' is no size such as 1GB\."), ("1MB", "1MB of memory do not suffice")):
        with pytest.raises(DataError, match=match):
            score_file(texts, tmp_path / "events.parquet", tmp_path / "out.parquet", 5, Columns(), print, memory)
    assert [one.name for one in tmp_path.iterdir()] == ["events.parquet"]


def test_damage_inside_a_file_is_found_and_leaves_the_old_answers(texts: OnnxRecommender, tmp_path: Path) -> None:
    path, output = tmp_path / "events.parquet", tmp_path / "out.parquet"
    histories = [[f"{n} {place}" for place in range(9)] for n in range(20_000)]
    pq.write_table(pa.table({"user": range(20_000), "history": histories}), path, row_group_size=4000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = b"x" * 2000
    path.write_bytes(content)
    output.write_text("old answers")
    with pytest.raises(DataError, match=r"events\.parquet cannot be (read|scored): "):
        run(texts, path, output)
    assert output.read_text() == "old answers"


def test_a_run_that_breaks_off_leaves_the_old_answers(
    texts: OnnxRecommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(texts).to_parquet(tmp_path / "events.parquet")
    (tmp_path / "out.parquet").write_text("old answers")
    monkeypatch.setattr(batch, "CHUNK", 5)
    partial: list[int] = []

    def stop(done: int, total: int) -> None:
        partial.append(len(list(tmp_path.glob(".out.parquet.*"))))
        if len(partial) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(texts, tmp_path / "events.parquet", tmp_path / "out.parquet", 5, Columns(), stop)
    assert partial == [1, 1]
    assert (tmp_path / "out.parquet").read_text() == "old answers"
    assert {one.name for one in tmp_path.iterdir()} == {"events.parquet", "out.parquet"}
    run(texts, tmp_path / "events.parquet", tmp_path / "out.parquet")
    assert_same(tmp_path / "out.parquet", expected(texts, log(texts), 5))


def test_the_command_says_what_it_wrote(texts: OnnxRecommender, tmp_path: Path) -> None:
    zip_folder(texts.bundle.folder, tmp_path / "export.zip")
    frame = log(texts)
    pd.concat([frame, pd.DataFrame({"user": [None]})]).to_parquet(tmp_path / "events.parquet")
    group, output = build(REGISTRY), tmp_path / "out.parquet"
    group.add_command(score)
    options = ["score", tmp_path / "export.zip", tmp_path / "events.parquet", output, "-k", 3, "--threads", 1]
    done = CliRunner().invoke(group, [str(one) for one in options])
    assert done.exit_code == 0, done.output
    assert done.output == (
        "Note: timestamps are numbers; taken as seconds since 1970\n"
        f"{output}: the 3 best items for 29 histories of {len(frame)} rows. "
        "1 rows without an id or a time were left out.\n"
    )
    assert_same(output, expected(texts, frame, 3))
    wrong = CliRunner().invoke(group, [str(one) for one in [*options, "--item-column", "itme"]])
    assert (wrong.exit_code, wrong.output.count("\n")) == (1, 1)
    assert "Error: " in wrong.output


@pytest.mark.parametrize("module", ["cli.score", "cli.serve"])
def test_commands_are_light(module: str) -> None:
    code = f"import sys, p5export.{module}; print({{'onnxruntime', 'duckdb', 'fastapi', 'pandas', 'rich', 'numpy'}} & "
    done = subprocess.run(
        [sys.executable, "-c", code + "set(sys.modules))"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
