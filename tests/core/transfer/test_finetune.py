"""A pre-trained run and its control: the better one is kept, and the verdict says what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

import p5core
from p5core.cli import build
from p5core.config.base import PartSpec
from p5core.config.document import dump_experiment, parse_experiment
from p5core.config.experiment import Experiment
from p5core.errors import ConfigError, RunError
from p5core.evaluation.metric_results import choose_metrics
from p5core.evaluation.significance import UserValues, compare
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.transfer.finetune import finetune

WALKS = [(user, (7 * user + step) % 40, step) for user in range(150) for step in range(9)]
"""Users who go from each item to the next one, which a network learns in some epochs."""


def experiment(epochs: int, learning_rate: float, **first_stage: Any) -> Experiment:
    stage = {"tasks": [{"name": "next_item"}], "epochs": epochs, "optimiser": {"learning_rate": learning_rate}}
    return parse_experiment(
        {
            "data": {
                "name": "dataframe",
                "interactions": pd.DataFrame(WALKS, columns=["user", "item", "timestamp"]),
            },
            "model": {"width": 16, "max_length": 8, "backbone": {"name": "gru", "n_layers": 1}},
            "stages": [stage | first_stage],
            "evaluate": {"resamples": 10, "metrics": ["ndcg@10"], "baselines": ["popularity"]},
        }
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Run:
    return p5core.run(experiment(25, 1e-2), tmp_path_factory.mktemp("bases"), "base", registry)


def weights(run: Run) -> dict[str, Any]:
    return load_file(run.weights)


def test_what_helps_is_kept(base: Run, tmp_path: Path, registry: Registry) -> None:
    made = finetune(experiment(1, 1e-4, **{"from": str(base.path)}), tmp_path, "shop", registry)
    assert made.is_pretrained
    assert made.pretrained > made.control
    assert (made.run.name, made.other.name) == ("shop", "shop-scratch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop-scratch"]
    assert made.run.metrics().validation["model"]["ndcg@10"] == made.pretrained
    assert made.test is not None
    assert made.test.first == pytest.approx(made.run.metrics().test["model"]["ndcg@10"])
    assert made.sentence.startswith("Pre-training helped: ndcg@10 on validation events")
    assert f"{made.test.result.difference:+.4f} (95 % interval" in made.sentence
    made.run.verify()
    assert p5core.Recommender.load(made.run, registry).recommend([1, 2], k=3)


def test_what_does_not_help_is_left_out(tmp_path: Path, registry: Registry) -> None:
    worse = spoilt(tmp_path / "bases", registry)
    made = finetune(experiment(25, 1e-2, **{"from": str(worse.path)}), tmp_path / "runs", "shop", registry)
    assert not made.is_pretrained
    assert made.control >= made.pretrained
    assert (made.run.name, made.other.name) == ("shop", "shop-pretrained")
    alone = p5core.run(experiment(25, 1e-2), tmp_path / "runs", "alone", registry)
    kept, scratch = weights(made.run), weights(alone)
    assert all(np.array_equal(kept[name], scratch[name]) for name in scratch)
    assert made.sentence.startswith("Pre-training did not help here and is left out")


def spoilt(folder: Path, registry: Registry) -> Run:
    """A run whose weights are so large that nothing is learnt from them."""
    run = p5core.run(experiment(1, 1e-2), folder, "spoilt", registry)
    save_file({name: 400 * np.ones_like(value) for name, value in weights(run).items()}, run.weights)
    (run.path / "manifest.json").unlink()
    run.seal()
    return run


def test_users_are_paired_by_their_ids_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    users, values, others = rng.permutation(200), rng.random(200), rng.random(200)
    order = rng.permutation(200)
    metric = choose_metrics(load_plugins(), ["ndcg@10"])[0]
    plain = compare(metric, UserValues(users, values), UserValues(users, others), 500, 0)
    mixed = compare(metric, UserValues(users[order], values[order]), UserValues(users, others), 500, 0)
    assert mixed.difference == pytest.approx(plain.difference)
    assert (mixed.low, mixed.high, mixed.p_value) == pytest.approx((plain.low, plain.high, plain.p_value))
    with pytest.raises(RunError, match="different users"):
        compare(metric, UserValues(users + 1, values), UserValues(users, others), 500, 0)


def test_without_pretraining_or_with_a_taken_name_nothing_begins(base: Run, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(ConfigError, match="Name a run to start from"):
        finetune(experiment(1, 1e-3), tmp_path, "shop", registry)
    (tmp_path / "shop-scratch").mkdir()
    with pytest.raises(ConfigError, match=r"There is a run .*shop-scratch already"):
        finetune(experiment(1, 1e-3, **{"from": str(base.path)}), tmp_path, "shop", registry)
    assert [path.name for path in tmp_path.iterdir()] == ["shop-scratch"]


def test_the_command_goes_on_where_it_was_stopped(base: Run, tmp_path: Path, registry: Registry) -> None:
    """The first of the two runs is there already."""
    pd.DataFrame(WALKS, columns=["user", "item", "timestamp"]).to_csv(tmp_path / "log.csv", index=False)
    log = PartSpec.model_validate({"name": "table", "path": str(tmp_path / "log.csv")})
    asked = experiment(1, 1e-3, **{"from": str(base.path)}).model_copy(update={"data": log})
    first = p5core.run(asked, tmp_path / "runs", "shop-pretrained", registry)
    before = weights(first)
    plain = experiment(1, 1e-3).model_copy(update={"data": log})
    (tmp_path / "shop.toml").write_text(dump_experiment(plain), encoding="utf-8")
    command = ["finetune", str(tmp_path / "shop.toml"), "--from", str(base.path), "--runs", str(tmp_path / "runs")]
    refused = CliRunner().invoke(build(registry), command)
    assert refused.exit_code != 0
    told = CliRunner().invoke(build(registry), [*command, "--resume"])
    assert told.exit_code == 0, told.output
    kept = tmp_path / "runs" / ("shop" if "Pre-training helped" in told.output else "shop-pretrained")
    assert all(np.array_equal(value, before[name]) for name, value in weights(Run(kept)).items())
    assert (tmp_path / "runs" / "shop").exists()
