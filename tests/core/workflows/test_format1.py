"""Runs and exports of P5 0.1, made by commit 0f2c802: they open, answer as then, and go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import p5core
from p5core.config.document import parse_experiment
from p5core.data.storage import read_dataset
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.system.files import read_json
from p5core.workflows.evaluate_run import evaluate_run
from p5core.workflows.update import update
from p5export.export import export_run
from p5export.runtime import OnnxRecommender
from p5export.validation.verify import verify

FOLDER = Path(__file__).parents[2] / "format1"
HISTORIES = (["i3", "i5"], ["i0", "i1", "i2", "i9"], [])
USERS = ("u1", "u7")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(params=["ranking", "ratings"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> p5core.Run:
    return p5core.Run(shutil.copytree(FOLDER / request.param, tmp_path / request.param))


def answers(name: str) -> list[list[tuple[str, float]]]:
    stored = read_json(FOLDER / "answers.json")[name]
    return [[(item, pytest.approx(score, abs=1e-4)) for item, score in one] for one in stored]


def test_it_is_whole_and_has_its_figures(run: p5core.Run) -> None:
    assert run.state() == "done"
    run.verify()
    assert run.info().format == 1
    assert run.info().parts == []
    assert set(run.metrics().test) == {"model", "popularity", "neighbours"}
    assert [one.name for one in p5core.list_runs(run.path.parent)] == [run.name]


def test_it_answers_as_it_did(run: p5core.Run, registry: Registry) -> None:
    recommender = p5core.Recommender.load(run, registry)
    if run.name == "ranking":
        found = [recommender.recommend(one, k=6) for one in HISTORIES]
    else:
        found = [recommender.recommend_user(one, k=6) for one in USERS]
    assert [[(one.item, one.score) for one in answer] for answer in found] == answers(run.name)


def test_it_is_evaluated_to_the_same_figures(run: p5core.Run, registry: Registry) -> None:
    evaluation, sentences = evaluate_run(run, registry, {})
    found = {label: one.value for label, one in evaluation.results["test"]["model"].items()}
    assert found == pytest.approx(run.metrics().test["model"], abs=1e-6)
    assert sentences == []
    run.verify()


def test_it_is_exported_and_its_old_export_is_read(run: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    old = OnnxRecommender(run.path / "export")
    assert verify(run.path / "export").n_cases > 0
    new = OnnxRecommender(export_run(run, tmp_path / "new", registry, say=lambda _: None).folder)
    for model in (old, new):
        asked = HISTORIES[:2] if run.name == "ranking" else USERS
        found = [[(one.item, one.score) for one in model.recommend(who, 6)] for who in asked]
        assert found == answers(run.name)[:2]
    if run.name == "ratings":
        assert new.ratings("u1", ["i14", "i2"]) == pytest.approx(old.ratings("u1", ["i14", "i2"]), abs=1e-4)


def test_training_starts_from_it(run: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    events = [(user, (user + step) % 25, 1 + step % 5, 1_800_000_000 + step) for user in range(50) for step in range(8)]
    rows = [f"u{user},i{item},{rating},{time}" for user, item, rating, time in events]
    path.write_text("user,item,rating,timestamp\n" + "\n".join(rows) + "\n")
    then = run.experiment()
    stage = then.stages[0].model_copy(update={"from_run": str(run.path), "epochs": 1})
    tree = {"data": {"name": "table", "path": str(path)}, "split": {"name": then.split.name}}
    model = then.model.model_copy(update={"encoders": then.model.encoders[:1], "blend": []})
    experiment = parse_experiment(tree).model_copy(update={"model": model, "stages": [stage]})
    later = p5core.run(experiment, tmp_path, "later", registry)
    assert len(read_dataset(later.data / "target").catalogue) > 18
    assert later.state() == "done"


def test_new_events_are_taken_in(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.csv").write_text("item,title,kind\ni99,Thing 99,kind 0\n")
    run = p5core.Run(shutil.copytree(FOLDER / "ranking", tmp_path / "ranking"))
    path = tmp_path / "more.csv"
    path.write_text("user,item,rating,timestamp\nu1,i7,3,1800000000\nnew,i8,4,1800000001\nnew,i99,5,1800000002\n")
    updated = update(run, path, "later", registry)
    assert updated.n_items == 1
    assert "i99" in {one.item for one in p5core.Recommender.load(updated.run, registry).recommend(["i8"], k=30)}
