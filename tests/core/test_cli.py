"""The whole way through the command line, on a small made-up log."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.workflows.recommend import Recommender

EXPERIMENT = """
[data]
name = "synthetic"
n_users = 200
n_items = 60
n_events = 3000

[model]
width = 16
max_length = 20
encoders = [{ name = "id" }, { name = "categories", columns = ["category"] }, { name = "numbers", columns = ["price"] }]
backbone = { name = "bert", n_layers = 1, n_heads = 2 }

[[stages]]
name = "pretrain"
tasks = [{ name = "masked_item" }]
epochs = 4

[[stages]]
name = "finetune"
tasks = [{ name = "next_item" }]
epochs = 4

[evaluate]
resamples = 50
metrics = ["hr@10", "ndcg@10", "coverage@10"]
"""


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def good(*arguments: object) -> str:
    result = p5(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.toml").write_text(EXPERIMENT)
    good("run", folder / "small.toml", "--runs", folder, "--name", "first")
    return folder / "first"


def test_a_run_has_figures_of_model_and_baselines(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics["test"]) == {"model", "popularity", "cooccurrence"}
    assert all(0 < metrics["test"][scorer]["ndcg@10"] < 1 for scorer in metrics["test"])
    assert metrics["train_seconds"] > 0
    assert metrics["n_parameters"] > 1000
    low, high = metrics["intervals"]["test"]["model"]["ndcg@10"]
    assert low < metrics["test"]["model"]["ndcg@10"] < high
    assert "Full ranking" in metrics["protocol"]
    assert json.loads((finished / "status.json").read_text())["state"] == "done"
    assert [json.loads(line)["kind"] for line in (finished / "events.jsonl").read_text().splitlines()].count(
        "stage"
    ) == 2


def test_what_ran_is_stored_and_gives_the_same_again(finished: Path, tmp_path: Path) -> None:
    good("run", finished / "experiment.toml", "--runs", tmp_path, "--name", "again")
    first, again = (load_file(path / "weights.safetensors") for path in (finished, tmp_path / "again"))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_recommendations_have_titles_and_reasons(finished: Path) -> None:
    user = Recommender.load(finished)._dataset.users.ids[0]
    found = json.loads(good("recommend", finished, "--user", user, "-k", 5, "--json"))
    seen = {item for item, _ in Recommender.load(finished).history(user)}
    assert len(found) == 5
    assert not seen & {one["item"] for one in found}
    assert all(one["title"] for one in found)
    assert any(one["reasons"] for one in found)
    assert all(reason["item"] in seen for one in found for reason in one["reasons"])
    items = [one["item"] for one in found][:2]
    assert "because of" in good("recommend", finished, "--history", ",".join(map(str, items)))


def test_an_unknown_history_gets_the_popular_items(finished: Path) -> None:
    recommender = Recommender.load(finished)
    assert recommender.recommend([-5]) == recommender.recommend([])
    best = recommender.recommend([], k=1)[0]
    counts = recommender._scorer._network.items.counts
    assert recommender._dataset.catalogue.encode([best.item])[0] == int(counts.argmax())
    asked = p5("recommend", finished, "--history", f"nothing,{best.item},-5")
    assert asked.exit_code == 0
    assert "left out: nothing, -5." in asked.stderr
    assert "left out" not in p5("recommend", finished, "--history", str(best.item)).output


def test_wrong_questions_get_a_sentence(finished: Path, tmp_path: Path) -> None:
    assert "Unknown user" in p5("recommend", finished, "--user", "nobody").output
    assert "either --history or --user" in p5("recommend", finished).output
    assert "no run folder" in p5("recommend", tmp_path, "--history", "1").output
    assert p5("recommend", tmp_path, "--history", "1").exit_code == 1


def test_runs_are_listed_shown_measured_and_compared(finished: Path) -> None:
    assert json.loads(good("runs", "list", "--runs", finished.parent, "--json"))[0]["state"] == "done"
    assert "first" in good("runs", "list", "--runs", finished.parent)
    assert "masked_item" in good("runs", "show", finished)
    assert "recall@5" in good("evaluate", finished, "--metric", "recall@5")
    assert "NOT full ranking" in good("evaluate", finished, "--candidates", 10)
    assert "1.0000" in good("compare", finished, finished)


def test_a_changed_file_is_noticed(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in finished.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(finished)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(finished)).write_bytes(path.read_bytes())
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(weights)
    assert "its hash differs" in p5("recommend", copy, "--history", "1").output
    (copy / "run.json").write_text('{"format": 99}')
    assert "has format 99" in p5("recommend", copy, "--history", "1").output


def test_a_run_whose_figures_were_changed_hides_no_other(finished: Path, tmp_path: Path) -> None:
    for name in ("changed", "lost"):
        shutil.copytree(finished, tmp_path / name)
    (tmp_path / "changed" / "metrics.json").write_text('{"test": {"model": {"hr@10": 0.99}}, "intervals": null}')
    (tmp_path / "lost" / "status.json").unlink()
    rows = {row["run"]: row for row in json.loads(good("runs", "list", "--runs", tmp_path, "--json"))}
    assert (rows["changed"]["state"], rows["changed"]["test"]) == ("damaged", {})
    assert (rows["lost"]["state"], rows["lost"]["share"]) == ("done", 1.0)
    assert rows["lost"]["test"]["hr@10"] is not None
    assert "hr@10" in good("runs", "show", tmp_path / "lost")
    said = p5("runs", "show", tmp_path / "changed")
    assert (said.exit_code, "its hash differs" in said.output, "0.99" in said.output) == (1, True, False)


@pytest.mark.parametrize(
    ("assignment", "match"),
    [
        ("model.widht=3", "Did you mean 'width'"),
        ("model.backbone={name='mf'}", "needs a backbone that reads histories"),
        ("model.backbone.name=gtp", "Unknown backbone 'gtp'"),
        ("stages.1.tasks.0.loss.name=mse", "does not suit task 'next_item'"),
        ("stages.1.tasks.0.name=rating", "needs the field 'rating'"),
        ("prepare.min_user_events=500", "Nothing is left"),
        ("split.name=sideways", "sideways"),
        ("evaluate.metrics=['ndgc@10']", "ndgc"),
        ("model.encoders.1.columns=['colour']", "colour"),
        ("stages.1.from=other", "only the first stage"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    file: Path, tmp_path: Path, assignment: str, match: str
) -> None:
    result = p5("run", file, "--runs", tmp_path / "runs", "--set", assignment)
    assert result.exit_code == 1
    assert match in " ".join(result.output.split())
    assert not (tmp_path / "runs").exists()


def test_a_name_that_is_taken_is_refused(finished: Path, file: Path) -> None:
    assert "exists. Choose another --name" in p5("run", file, "--runs", finished.parent, "--name", "first").output


def test_cross_validation_gives_means_and_deviations(file: Path, tmp_path: Path) -> None:
    short = ("--set", "stages.0.epochs=1", "--set", "stages.1.epochs=1")
    good("run", file, "--runs", tmp_path, "--name", "folds", "--folds", 2, *short)
    summary = json.loads((tmp_path / "folds" / "folds.json").read_text())
    values = summary["test"]["model"]["ndcg@10"]
    assert values["mean"] == pytest.approx(np.mean(values["folds"]))
    assert values["deviation"] == pytest.approx(np.std(values["folds"], ddof=1))


def test_training_goes_on_from_a_run_with_more_items(finished: Path, file: Path, tmp_path: Path) -> None:
    more = (
        "--set",
        "data.n_items=80",
        "--set",
        "data.seed=1",
        "--set",
        "stages.0.epochs=1",
        "--set",
        "stages.1.epochs=1",
    )
    good("run", file, "--runs", tmp_path, "--name", "more", "--from", finished, *more)
    old, new = (Recommender.load(path)._dataset.catalogue for path in (finished, tmp_path / "more"))
    assert len(new) > len(old)
    assert new.index[: len(old)].equals(old.index)


def test_device_and_precision_are_options(file: Path, tmp_path: Path) -> None:
    short = ("--set", "stages.0.epochs=1", "--set", "stages.1.epochs=1")
    good("run", file, "--runs", tmp_path, "--name", "half", "--device", "cpu", "--precision", "bf16-mixed", *short)
    ran = (tmp_path / "half" / "experiment.toml").read_text()
    assert 'device = "cpu"' in ran
    assert 'precision = "bf16-mixed"' in ran
    assert "device = 'tpu9' is unknown" in p5("run", file, "--runs", tmp_path, "--device", "tpu9").output
    assert "precision" in p5("run", file, "--runs", tmp_path, "--precision", "16").output
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["half"]


def test_a_stage_may_bring_its_own_data(file: Path, tmp_path: Path) -> None:
    own = '{ name = "synthetic", n_users = 100, n_items = 40, n_events = 1500, domain = "films", seed = 5 }'
    short = ("--set", "stages.0.epochs=1", "--set", "stages.1.epochs=1")
    good("run", file, "--runs", tmp_path, "--name", "two", "--set", f"stages.0.data={own}", *short)
    recommender = Recommender.load(tmp_path / "two")
    assert set(recommender._dataset.catalogue.domains) == {"films", "default"}
    domains = recommender._dataset.catalogue.domain_codes
    found = recommender._dataset.catalogue.encode([one.item for one in recommender.recommend([], k=60)], "default")
    assert {recommender._dataset.catalogue.domains[code] for code in domains[found]} == {"default"}


def test_a_signal_saves_and_resume_ends_as_if_nothing_had_happened(file: Path, tmp_path: Path) -> None:
    longer = ("--set", "stages.0.epochs=30")
    command = [sys.executable, "-m", "p5core.cli", "run", str(file), "--runs", str(tmp_path), *longer]
    child = subprocess.Popen([*command, "--name", "stopped"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    events = tmp_path / "stopped" / "events.jsonl"
    deadline = time.monotonic() + 60
    while not (events.exists() and '"validation"' in events.read_text()):
        assert child.poll() is None, child.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    output = child.communicate(timeout=60)[0].decode()
    assert child.returncode == 130, output
    assert "--resume" in " ".join(output.split())
    assert json.loads((tmp_path / "stopped" / "status.json").read_text())["state"] == "stopped"
    assert "differs from the one" in p5("run", file, "--runs", tmp_path, "--name", "stopped", "--resume").output
    good("run", file, "--runs", tmp_path, *longer, "--name", "stopped", "--resume")
    good("run", file, "--runs", tmp_path, *longer, "--name", "whole")
    stopped, whole = (load_file(tmp_path / name / "weights.safetensors") for name in ("stopped", "whole"))
    assert all(np.array_equal(stopped[name], whole[name]) for name in whole)
    assert "nothing to resume" in p5("run", file, "--runs", tmp_path, *longer, "--name", "stopped", "--resume").output


def test_data_is_described_and_an_experiment_written_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{rng.integers(40)},{rng.integers(30)},{10**9 + place}" for place in range(1200)]
    Path("log.csv").write_text("\n".join(["userId,movieId,timestamp", *rows]))
    assert "1,200 events read" in good("data", "describe", "log.csv")
    assert "p5 run log.toml" in good("init", "log.csv")
    assert "exists and is left alone" in p5("init", "log.csv").output
    good("run", "log.toml", "--set", "stages.0.epochs=1", "--set", "model.width=8")
    assert Path("runs/log/metrics.json").exists()


def test_histories_and_tables_of_items_are_taken_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("histories.txt").write_text(
        "".join(
            f"u{user} " + " ".join(f"i{(user + step) % 12}" for step in range(5 + user % 3)) + "\n"
            for user in range(30)
        )
    )
    Path("items.csv").write_text("item,title,kind\n" + "".join(f"i{n},Thing {n},kind {n % 3}\n" for n in range(12)))
    good("init", "histories.txt", "--set", "items=items.csv")
    written = Path("histories.toml").read_text()
    assert 'name = "sequences"' in written
    assert 'items = "items.csv"' in written
    assert 'columns = ["kind"]' in written
    good("run", "histories.toml", "--set", "stages.0.epochs=1", "--set", "model.width=8")
    assert "cooccurrence with content_pairs =" in Path("runs/histories/log.txt").read_text()
    assert "30 users" in good("data", "describe", "histories.txt")
    assert "unknown option 'itms'" in p5("init", "histories.txt", "-o", "x.toml", "--set", "itms=items.csv").output
    assert not Path("x.toml").exists()


@pytest.mark.parametrize("mark", ["\t", ";", "|", ","])
def test_a_text_file_of_columns_with_spaces_in_them_is_a_table(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [(f"u{n % 20}", f"thing {n % 13}" + " again" * (n % 2), str(10**9 + n)) for n in range(200)]
    Path("log.txt").write_text("\n".join(mark.join(row) for row in [("user", "item", "time"), *rows]))
    good("init", "log.txt")
    assert 'name = "table"' in Path("log.toml").read_text()
