"""From Python: runs that grow, resume, are asked, and what is refused before anything is written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from support import SMALL, Interrupter, experiment_of

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.data.storage import read_dataset
from p5core.errors import ConfigError, DataError, P5Error, RunError
from p5core.fitting import source
from p5core.fitting.experiment_data import gather
from p5core.model.warm_start import warm_start
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.workflows import train as pipeline
from p5core.workflows.recommend import Recommender


def small(*assignments: str) -> Experiment:
    return experiment_of(SMALL, "data.ratings=true", *assignments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def finished(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return p5core.run(small(), tmp_path_factory.mktemp("runs"), "first", registry)


@pytest.mark.parametrize(
    ("assignments", "match"),
    [
        (["model.backbone={name='mf'}", "stages.0.tasks.0.name=masked_item"], "'mf' is none. Use the task 'next_item'"),
        (["model.backbone={name='mf'}", "split.name=by_user"], "'mf' represents users by trained vectors only"),
        (
            ["stages.0.tasks.0.loss={name='mse'}"],
            "Loss 'mse' does not suit task 'next_item'. Suitable: .*cross_entropy",
        ),
        (
            ["stages.0.tasks.0={name='rating', loss={name='bpr'}}"],
            "Loss 'bpr' does not suit task 'rating'. Suitable: mse",
        ),
        (
            ["data.ratings=false", "stages.0.tasks.0.name=rating"],
            "Task 'rating' needs the field 'rating' of the events, and this data has none",
        ),
        (
            ["evaluate.metrics=['rmse']"],
            "Metric 'rmse' needs predicted values, and no task of the experiment predicts any",
        ),
        (["stages.0.watch=mae"], "Metric 'mae' needs predicted values"),
        (["stages.0.watch=ndgc@10"], "Unknown metric 'ndgc'. Did you mean 'ndcg'"),
        (["device=abacus"], "device = 'abacus' is unknown. Choose 'auto', 'cpu'"),
        (["device=cuda:x"], "device = 'cuda:x' is unknown"),
        (["trackers=[{name='csw'}]"], "Unknown tracker 'csw'"),
        (["stages.0.data={name='synthetik'}"], "Unknown loader 'synthetik'"),
        (["stages.0.from=nowhere"], "neither a base nor a run nowhere"),
        (["stages.0.tasks.0.weigth=2"], "unknown option 'weigth'"),
        (["prepare.min_user_events=500"], "Nothing is left"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    registry: Registry, tmp_path: Path, assignments: list[str], match: str
) -> None:
    with pytest.raises(P5Error, match=match):
        pipeline.run(small(*assignments), tmp_path / "runs", "x", registry)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "assignments",
    [
        ["split.name=by_user"],
        ["split.name=time"],
        ["split.name=random", "model.backbone={name='mf'}"],
        ["stages.0.tasks=[{name='rating'}, {name='next_item', weight=0.5}]"],
        [
            "model.backbone={name='gru'}",
            "model.combine=gated",
            "model.encoders=[{name='id'}, {name='numbers', columns=['price']}]",
        ],
        ["precision=bf16-mixed", "stages.0.optimiser.accumulate=2"],
    ],
)
def test_parts_go_together(registry: Registry, tmp_path: Path, assignments: list[str]) -> None:
    run = pipeline.run(small(*assignments), tmp_path, None, registry)
    assert run.path == tmp_path / "run"
    metrics = run.metrics()
    for part in ("validation", "test"):
        figures = getattr(metrics, part)
        assert set(figures) == {"model", "popularity", "cooccurrence"}
        assert all(np.isfinite(value) for value in figures["model"].values())
    assert run.state() == "done"
    run.verify()
    assert not run.checkpoints.exists()


def test_a_run_writes_what_it_promises(finished: p5core.Run) -> None:
    names = {path.name for path in finished.path.iterdir()}
    assert names == {
        "run.json",
        "experiment.toml",
        "report.json",
        "data",
        "features",
        "split.safetensors",
        "status.json",
        "events.jsonl",
        "log.txt",
        "lock",
        "weights.safetensors",
        "metrics.json",
        "per_user.safetensors",
        "manifest.json",
    }
    assert finished.experiment().stages[0].tasks[0].loss.name == "cross_entropy"
    metrics = finished.metrics()
    network = load_file(finished.weights)
    assert metrics.n_parameters == sum(one.numel() for name, one in network.items() if name != "items.counts")
    assert [one.path for one in p5core.list_runs(finished.path.parent)] == [finished.path]


def test_a_finished_run_is_measured_again_and_stays_as_it_is(finished: p5core.Run, registry: Registry) -> None:
    found, _ = p5core.evaluate_run(finished, registry, {})
    for part in ("validation", "test"):
        again = {label: figure.value for label, figure in found.results[part]["model"].items()}
        assert again == pytest.approx(getattr(finished.metrics(), part)["model"])
    seen, _ = p5core.evaluate_run(finished, registry, {"exclude_seen": False, "baselines": []}, ["hr@3"])
    assert list(seen.results["test"]) == ["model"]
    assert list(seen.results["test"]["model"]) == ["hr@3"]
    with pytest.raises(ConfigError, match="Metric 'rmse' needs predicted values"):
        p5core.evaluate_run(finished, registry, {}, ["rmse"])
    finished.verify()


def test_the_vocabulary_grows_and_known_items_keep_their_vectors(
    finished: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[Any] = []

    def watch(network: Any, *arguments: Any) -> None:
        warm_start(network, *arguments)
        states.append(network.items.vectors().detach().clone())

    monkeypatch.setattr(source, "warm_start", watch)
    more = small("data.n_items=60", "data.seed=3", f"stages.0.from={finished.path}")
    run = pipeline.run(more, tmp_path, "more", registry)
    [vectors] = states
    old = read_dataset(finished.data / "target").catalogue
    new = read_dataset(run.data / "target")
    weights = load_file(finished.weights)["items.encoders.0.embedding.weight"]
    assert len(new.catalogue) > len(old)
    assert new.catalogue.index[: len(old)].equals(old.index)
    assert torch.equal(vectors[: len(old)], weights)
    assert torch.allclose(vectors[len(old) :], weights.mean(dim=0).expand(len(new.catalogue) - len(old), -1))
    found = Recommender.load(run.path, registry).recommend([], k=100)
    assert {one.item for one in found} <= set(new.catalogue.frame["item"])


def test_a_source_that_was_changed_is_refused(finished: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "source"
    shutil.copytree(finished.path, copy)
    (copy / "metrics.json").write_text("{}")
    with pytest.raises(RunError, match="its hash differs"):
        pipeline.run(small("stages.0.from=source"), tmp_path, "x", registry)
    with pytest.raises(ConfigError, match="has shape"):
        pipeline.run(small(f"stages.0.from={finished.path}", "model.width=16"), tmp_path, "x", registry)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def stopped(registry: Registry, runs: Path, *assignments: str) -> p5core.Run:
    with pytest.raises(KeyboardInterrupt, match=r"Saved in .*; go on with --resume"):
        pipeline.run(small(*assignments), runs, "stopped", registry, None, Interrupter(runs / "stopped"))
    run = p5core.open_run(runs / "stopped")
    assert run.state() == "stopped"
    assert not (run.path / "stop").exists()
    return run


def test_a_file_stops_a_run_and_it_goes_on_to_the_same_end(
    registry: Registry, finished: p5core.Run, tmp_path: Path
) -> None:
    run = p5core.resume(stopped(registry, tmp_path), registry)
    one, other = load_file(run.weights), load_file(finished.weights)
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert run.metrics().test == finished.metrics().test
    with pytest.raises(RunError, match="is finished; there is nothing to resume"):
        p5core.resume(run, registry)


def test_a_run_that_started_from_another_goes_on_as_well(
    registry: Registry, finished: p5core.Run, tmp_path: Path
) -> None:
    source = f"stages.0.from={finished.path}"
    whole = pipeline.run(small(source), tmp_path, "whole", registry)
    run = p5core.resume(stopped(registry, tmp_path, source), registry)
    one, other = load_file(run.weights), load_file(whole.weights)
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_damaged_checkpoints_and_data_are_said(registry: Registry, tmp_path: Path) -> None:
    run = stopped(registry, tmp_path)
    content = run.last_checkpoint.read_bytes()
    run.last_checkpoint.write_bytes(content[:100])
    with pytest.raises(RunError, match=r"last.safetensors cannot be read: .* Run the experiment again"):
        p5core.resume(run, registry)
    assert run.state() == "failed"
    (run.data / "target" / "users.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"target/users.parquet was changed since P5 wrote it: its hash differs"):
        p5core.resume(run, registry)
    (run.data / "target" / "users.parquet").unlink()
    with pytest.raises(RunError, match=r"lacks its file data/target/users.parquet. Restore it from a copy"):
        p5core.resume(run, registry)


def test_a_stage_with_data_of_its_own_shares_the_catalogue(registry: Registry, tmp_path: Path) -> None:
    own = "{name='synthetic', n_users=50, n_items=50, n_events=600, n_clusters=5, domain='films', seed=2, ratings=true}"
    experiment = small(f"stages=[{{name='first', epochs=1, data={own}}}, {{name='second', epochs=1}}]")
    run = pipeline.run(experiment, tmp_path, "two", registry)
    first, target = read_dataset(run.data / "stage-0"), read_dataset(run.data / "target")
    assert first.catalogue.index.equals(target.catalogue.index)
    assert set(first.catalogue.domains) == {"films", "default"}
    assert {first.catalogue.domains[code] for code in first.event_domains} == {"films"}
    counts = load_file(run.weights)["items.counts"]
    assert counts[torch.from_numpy(target.catalogue.members("films")).long()].sum() == 0
    recommender = Recommender.load(run.path, registry)
    films, others = (set(target.catalogue.members(one).tolist()) for one in ("films", "default"))
    found = [one.item for one in recommender.recommend(["1", "2"], k=500)]
    assert set(target.catalogue.encode(found, "default").tolist()) <= others - films


def test_recommendations_from_python(finished: p5core.Run, registry: Registry) -> None:
    recommender = Recommender.load(finished.path, registry)
    items = read_dataset(finished.data / "target").catalogue.frame["item"].tolist()
    found = recommender.recommend(items[:3], k=5, n_reasons=2)
    assert len(found) == 5
    assert not {one.item for one in found} & set(items[:3])
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert recommender.score(items[:3], [one.item for one in found]) == pytest.approx([one.score for one in found])
    for one in found:
        assert all(reason.gain > 0 and reason.item in items[:3] for reason in one.reasons)
        assert [reason.gain for reason in one.reasons] == sorted((why.gain for why in one.reasons), reverse=True)
    assert len(recommender.recommend(items[:3], k=500, exclude_seen=False)) == len(items)
    assert len(recommender.recommend(items[:3], k=500)) == len(items) - 3
    assert recommender.recommend([str(items[0]), "unknown"], k=3) == recommender.recommend([items[0]], k=3)
    with pytest.raises(DataError, match="Unknown item 'unknown' among the candidates"):
        recommender.score(items[:1], ["unknown"])
    with pytest.raises(DataError, match=r"Unknown domain 'films'. Known: default"):
        recommender.recommend(items[:1], domain="films")


def test_a_run_its_path_and_its_name_load_the_same(finished: p5core.Run, registry: Registry) -> None:
    asked = [
        Recommender.load(run, registry).recommend([1], k=3) for run in (finished, finished.path, str(finished.path))
    ]
    assert asked[0] == asked[1] == asked[2]


def test_a_reason_is_what_the_score_loses_without_the_item(finished: p5core.Run, registry: Registry) -> None:
    recommender = Recommender.load(finished.path, registry)
    history = [item for item, _ in recommender.history(1)]
    best = recommender.recommend_user(1, k=1, n_reasons=3)[0]
    whole = recommender.score(history, [best.item])[0]
    assert best.score == pytest.approx(whole, abs=1e-5)
    for reason in best.reasons:
        without = recommender.score([item for item in history if item != reason.item], [best.item])[0]
        assert reason.gain == pytest.approx(whole - without, abs=1e-4)


def test_a_model_of_users_is_asked_by_user(registry: Registry, tmp_path: Path) -> None:
    run = pipeline.run(small("model.backbone={name='mf'}"), tmp_path, "mf", registry)
    recommender = Recommender.load(run.path, registry)
    found = recommender.recommend_user(1, k=3, n_reasons=2)
    assert len(found) == 3
    assert all(one.reasons == () for one in found)
    for question in (lambda: recommender.recommend([1]), lambda: recommender.score([1], [2])):
        with pytest.raises(DataError, match=r"reads no history. Ask for a known user instead"):
            question()
    with pytest.raises(DataError, match=r"Unknown user 'x'. The data has \d+ users, such as"):
        recommender.recommend_user("x")


def test_a_frame_is_learnt_from(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": rng.integers(0, 40, 900), "item": [f"i{one}" for one in rng.integers(0, 30, 900)]})
    tree = {**tomllib.loads(SMALL), "data": {"name": "dataframe", "interactions": frame}}
    run = p5core.run(parse_experiment(tree), tmp_path, "frame", registry)
    assert Recommender.load(run.path, registry).recommend(["i1"], k=2)[0].item.startswith("i")


def test_a_run_says_and_keeps_the_precision_that_was_taken(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    run = p5core.run(small("device='cpu'", "precision='auto'", "stages.0.epochs=1"), tmp_path, "one", registry)
    assert run.experiment().precision == "bf16-mixed"
    assert "precision bf16-mixed (this processor supports bfloat16)" in (run.path / "log.txt").read_text()


def test_folds_hold_out_each_event_once(registry: Registry) -> None:
    held = [gather(small(), registry, fold=(fold, 3)).target.split.test for fold in range(3)]
    total = len(gather(small(), registry).target.dataset.events)
    assert sum(len(one.targets.values) for one in held) == total


def test_validation_while_training_may_take_a_sample_of_users(registry: Registry, tmp_path: Path) -> None:
    run = p5core.run(small("evaluate.validation_users=10", "evaluate.metrics=['hr@10']"), tmp_path, "few", registry)
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    shares = [event["metrics"]["hr@10"] for event in events if event["kind"] == "validation"]
    assert shares
    assert all((share * 20) % 1 == pytest.approx(0) for share in shares)  # halves come from ties
    assert run.metrics().n_test_users == 60


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("cpu", "bf16-mixed"),
        pytest.param("cuda", "32-true", marks=pytest.mark.gpu),
        pytest.param("cuda", "bf16-mixed", marks=pytest.mark.gpu),
    ],
)
def test_other_devices_and_half_precision_learn_as_well(
    device: str, precision: str, registry: Registry, tmp_path: Path
) -> None:
    here = p5core.run(small("stages.0.epochs=6", "precision='32-true'"), tmp_path, "here", registry)
    options = ["stages.0.epochs=6", f"device='{device}'", f"precision='{precision}'"]
    there = p5core.run(small(*options), tmp_path, "there", registry)
    label = "ndcg@10"
    figures = [one.metrics().test["model"][label] for one in (here, there)]
    assert figures[0] == pytest.approx(figures[1], abs=0.1)
    weights = load_file(there.weights)
    assert all(one.dtype == torch.float32 for one in weights.values() if one.is_floating_point())
    assert Recommender.load(there.path, registry).recommend([1], k=3)
