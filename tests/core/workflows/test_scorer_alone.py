"""Models that are scorers alone train nothing, and are measured, stored, exported and updated like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chaos.forks import LOG, NEW
from click.testing import CliRunner, Result
from support import SMALL, experiment_of

import p5core
from p5core.cli import build
from p5core.config.document import parse_experiment
from p5core.config.tree import parse_toml
from p5core.errors import ConfigError, UnknownPartError
from p5core.fitting.trained_model import load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.training import loop
from p5core.workflows.recommend import Recommender
from p5export.runtime import OnnxRecommender
from p5plugins.scorers.popularity import Popularity

ALONE = """
[data]
name = "table"
path = "log.csv"

[model]
scorer = "item_knn"

[evaluate]
resamples = 10
baselines = ["item_knn", "popularity"]
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a scorer alone, and its export."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "log.csv").write_text(LOG)
    (folder / "new.csv").write_text(NEW)
    (folder / "e.toml").write_text(ALONE.replace("log.csv", str(folder / "log.csv")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Loop, "train_step", None)  # nothing is trained
        assert p5("run", folder / "e.toml", "--name", "knn", "--runs", folder / "runs").exit_code == 0
    assert p5("export", folder / "runs" / "knn").exit_code == 0
    return folder


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def test_the_figures_are_those_of_the_scorer_as_a_baseline(folder: Path) -> None:
    metrics = p5core.open_run(folder / "runs" / "knn").metrics()
    for part in (metrics.test, metrics.validation):
        assert part["model"] == pytest.approx(part["item_knn"])
        assert part["model"] != part["popularity"]


def test_whole_histories_are_read_and_the_network_is_left_open(folder: Path) -> None:
    model = p5core.open_run(folder / "runs" / "knn").experiment().model
    assert model.max_length == 1_000
    assert (model.backbone.name, [encoder.name for encoder in model.encoders]) == ("auto", ["auto"])


def test_the_export_recommends_as_the_run_does(folder: Path, registry: Registry) -> None:
    assert p5("verify", folder / "runs" / "knn" / "export").exit_code == 0
    exported = OnnxRecommender(folder / "runs" / "knn" / "export")
    ours = Recommender.load(folder / "runs" / "knn", registry)
    for history in (["i3"], ["i3", "i7", "i1"], []):
        expected = [one.item for one in ours.recommend(history, 5)]
        assert [one.item for one in exported.recommend(history, 5)] == expected
    about = exported.bundle.manifest["model"]
    assert (about["backbone"], about["stages"]) == (None, [])
    card = (folder / "runs" / "knn" / "export" / "README.md").read_text()
    assert "No network: the scorers below" in card


def test_items_that_the_scorer_holds_equal_follow_by_popularity(folder: Path, registry: Registry) -> None:
    file = folder / "few.toml"
    file.write_text(
        (folder / "e.toml").read_text().replace('"item_knn"\n', "{ name = 'item_knn', n_neighbours = 1 }\n", 1)
    )
    assert p5("run", file, "--name", "few", "--runs", folder / "runs").exit_code == 0
    assert p5("export", folder / "runs" / "few").exit_code == 0
    target = load_run_data(p5core.open_run(folder / "runs" / "few"), registry).target
    items = target.dataset.catalogue.frame["item"].tolist()
    counts = dict(zip(items, np.bincount(target.split.train.items, minlength=len(items)).tolist(), strict=True))
    assert len(set(counts.values())) > 1
    ours = Recommender.load(folder / "runs" / "few", registry)
    exported = OnnxRecommender(folder / "runs" / "few" / "export")
    for recommender in (ours, exported):
        _, *others = [counts[str(one.item)] for one in recommender.recommend(["i3"], len(items) - 1)]
        assert others == sorted(others, reverse=True)


def test_reasons_are_items_of_the_history(folder: Path) -> None:
    said = p5("recommend", folder / "runs" / "knn", "--user", "u3", "-k", 2)
    assert said.exit_code == 0, said.output
    assert "because of" in said.output


def test_new_events_and_items_reach_it(folder: Path, registry: Registry) -> None:
    said = p5("update", folder / "runs" / "knn", folder / "new.csv", "--name", "knn-2")
    assert said.exit_code == 0, said.output
    updated = Recommender.load(folder / "runs" / "knn-2", registry)
    assert len(updated.recommend(["i25"], 3)) == 3
    assert (folder / "runs" / "knn-2" / "export" / "model.onnx").exists()


def test_it_goes_on_after_an_interruption(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = experiment_of(scorer("{ name = 'ease' }"))
    whole = p5core.run(experiment, tmp_path, "whole", registry)

    def stop(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Popularity, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            p5core.run(experiment, tmp_path, "stopped", registry)
    run = p5core.resume(p5core.open_run(tmp_path / "stopped"), registry)
    assert run.metrics().test == whole.metrics().test


def scorer(spec: str, blend: str = "[]") -> str:
    """The small experiment with a scorer in the place of its network."""
    head = SMALL.split("[model]")[0]
    return f"{head}[model]\nscorer = {spec}\nblend = {blend}\n[evaluate]\nresamples = 0\n"


def test_scorers_are_blended_without_a_network(registry: Registry, tmp_path: Path) -> None:
    figures = {}
    for name, blend in (("one", "[]"), ("both", "[{ name = 'cooccurrence' }]")):
        run = p5core.run(experiment_of(scorer("'ease'", blend)), tmp_path, name, registry)
        figures[name] = run.metrics().validation["model"]["ndcg@10"]
    assert figures["both"] >= figures["one"] - 1e-9
    log = (tmp_path / "both" / "log.txt").read_text()
    assert "1 blend + 0.25 cooccurrence" in log
    assert np.isfinite(figures["both"])


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("[model.backbone]\nname = 'gru'\n", "is the whole model, without the backbone 'gru'"),
        ("[[stages]]\n[[stages]]\n", "is fitted, not trained in stages"),
        ("[[stages]]\ndata = { name = 'synthetic', seed = 2 }\n", "is fitted, not trained in stages"),
    ],
)
def test_parts_of_a_network_beside_it_are_refused(
    registry: Registry, tmp_path: Path, addition: str, message: str
) -> None:
    text = scorer("'ease'").replace("[evaluate]", f"{addition}[evaluate]")
    with pytest.raises(ConfigError, match=message):
        p5core.run(experiment_of(text), tmp_path, "no", registry)
    assert not list(tmp_path.iterdir())


def test_an_unknown_scorer_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UnknownPartError, match=r"Unknown scorer 'eese'. Did you mean 'ease'"):
        p5core.run(experiment_of(scorer("'eese'")), tmp_path, "no", registry)


@pytest.mark.parametrize("preset", ["ease", "item_knn"])
def test_its_preset_runs_and_its_options_are_tuned(preset: str, folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.toml"
    assert p5("init", folder / "log.csv", "--preset", preset, "-o", made).exit_code == 0
    said = p5("tune", made, "--trials", 2, "--runs", tmp_path / "runs")
    assert said.exit_code == 0, said.output
    said = p5("run", tmp_path / "runs" / "made-tune" / "best.toml", "--runs", tmp_path / "runs", "--name", "best")
    assert said.exit_code == 0, said.output


def test_a_scorer_alone_reads_the_content_that_it_is_given(registry: Registry, tmp_path: Path) -> None:
    """Each user has items of one colour, and no two users have an item in common but by chance."""
    rng, events, items = np.random.default_rng(0), [], []
    for colour in range(8):
        items += [{"item": f"{colour}-{nth}", "title": f"colour{colour}"} for nth in range(40)]
        for user in range(12):
            events += [
                {"user": f"{colour}-{user}", "item": f"{colour}-{nth}", "timestamp": time}
                for time, nth in enumerate(rng.choice(40, 5, replace=False))
            ]
    pd.DataFrame(events).to_csv(tmp_path / "log.csv", index=False)
    pd.DataFrame(items).to_csv(tmp_path / "items.csv", index=False)
    figures = {}
    for content in ("[]", '"all"'):
        text = f"""
            data = {{ name = "table", path = "{tmp_path}/log.csv", items = "{tmp_path}/items.csv" }}
            model = {{ scorer = {{ name = "cooccurrence", content = {content} }} }}
            prepare = {{ min_user_events = 1, min_item_events = 1 }}
            evaluate = {{ baselines = [], resamples = 0, metrics = ["hr@40"] }}
        """
        run = p5core.run(parse_experiment(parse_toml(text, "test")), tmp_path / "runs", None, registry)
        figures[content] = run.metrics().test["model"]["hr@40"]
    assert figures['"all"'] > figures["[]"] + 0.2
    assert figures['"all"'] > 0.8
