"""Short trainings that choose options before a run."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from support import experiment_of

import p5core
from p5core.cli import build
from p5core.config.document import dump_experiment
from p5core.errors import ConfigError, RunError
from p5core.fitting.probe import candidates, rungs, shown_options
from p5core.plugins.discovery import load_plugins
from p5core.transfer.finetune import finetune
from p5core.tuning.worker import Plan, Worker
from p5core.workflows import train
from p5core.workflows.refit import refit

PROBED = """
[data]
name = "synthetic"
n_users = 300
n_items = 40
n_events = 4500
n_clusters = 8

[model]
width = 8
max_length = 12
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item" }]
epochs = 6
optimiser = { learning_rate = 1e-5 }

[probe]
candidates = [{ learning_rate = 1e-2 }, { learning_rate = 1e-2, dropout = 0.5 }, { weight_decay = 0.2 }]

[evaluate]
metrics = ["ndcg@10"]
resamples = 10
"""


@given(st.integers(2, 30), st.integers(1, 300), st.floats(0.1, 5))
def test_rungs_keep_the_budget(n_candidates: int, n_epochs: int, budget: float) -> None:
    found = rungs(n_candidates, n_epochs, budget)
    assert sum(rung.n_candidates * rung.n_epochs for rung in found) <= budget * n_epochs
    if found:
        assert found[0].n_candidates <= n_candidates
        assert (found[-1].n_candidates, found[0].n_epochs >= 1, found[-1].n_epochs <= n_epochs) == (2, True, True)
        assert all(
            second.n_epochs == 2 * first.n_epochs and second.n_candidates == -(-first.n_candidates // 2)
            for first, second in pairwise(found)
        )


def test_a_budget_for_eight_candidates() -> None:
    assert [(one.n_candidates, one.n_epochs) for one in rungs(8, 24, 2.0)] == [(8, 2), (4, 4), (2, 8)]
    assert [(one.n_candidates, one.n_epochs) for one in rungs(8, 10, 2.0)] == [(6, 1), (3, 2), (2, 4)]
    assert rungs(8, 1, 1.0) == []


def test_a_name_stands_for_every_option_of_that_name() -> None:
    found = candidates(experiment_of(PROBED), load_plugins())
    assert found[0] == {}
    assert found[2] == {
        "stages.0.optimiser.learning_rate": 1e-2,
        "model.dropout": 0.5,
        "model.backbone.dropout": 0.5,
    }


def test_a_candidate_that_is_there_already_is_not_tried_twice() -> None:
    twice = '{ "model.dropout" = 0.5, "backbone.dropout" = 0.5 }'
    experiment = experiment_of(PROBED, f"probe.candidates=[{{}}, {{ dropout = 0.5 }}, {twice}]")
    assert len(candidates(experiment, load_plugins())) == 2


def test_true_says_too_little() -> None:
    with pytest.raises(ConfigError, match="list the values to try"):
        experiment_of(PROBED, "probe=true")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ("{ droput = 0.5 }", "no such option to tune. Did you mean"),
        ("{ dropout = 1.5 }", "dropout"),
        ('{ dropout = "much" }', "dropout"),
        ("{ epochs = 3 }", "no such option"),
        ("{ n_heads = 3 }", "attention heads"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, candidate: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        train.run(experiment_of(PROBED, f"probe.candidates=[{candidate}]"), tmp_path, "run")
    assert list(tmp_path.iterdir()) == []


def test_scorers_have_nothing_to_try(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is trained"):
        train.run(experiment_of(PROBED, "model={ scorer = 'popularity' }", "stages=[{}]"), tmp_path, "run")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return train.run(experiment_of(PROBED), tmp_path_factory.mktemp("runs"), "probed")


def trials_of(run: p5core.Run) -> list[tuple[dict[str, Any], int]]:
    return [(trial.values, trial.n_epochs) for trial in run.trials().trials]


def test_the_options_that_learn_are_chosen_and_trained_with(probed: p5core.Run, tmp_path: Path) -> None:
    assert [n for _, n in trials_of(probed)] == [1, 1, 1, 1, 2, 2]
    chosen = probed.trials().chosen
    assert chosen is not None
    assert chosen["stages.0.optimiser.learning_rate"] == 1e-2
    assert probed.experiment().stages[0].optimiser.learning_rate == 1e-2
    assert probed.asked().stages[0].optimiser.learning_rate == 1e-5
    direct = train.run(probed.experiment(), tmp_path, "direct")
    assert not (direct.path / "probe.json").exists()
    assert same(load_file(direct.weights), load_file(probed.weights))
    assert direct.metrics().test == probed.metrics().test


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


def test_a_report_says_what_was_tried(probed: p5core.Run) -> None:
    shown = CliRunner().invoke(build(load_plugins()), ["runs", "show", str(probed.path)])
    assert "stages.0.optimiser.learning_rate = 0.01" in shown.output
    log = (probed.path / "log.txt").read_text()
    assert "Trial 1 of 6: the options of the experiment, 1 epoch: ndcg@10" in log
    assert "Chosen by the last 2 trials: learning_rate 0.01" in log
    events = [json.loads(line) for line in (probed.path / "events.jsonl").read_text().splitlines()]
    assert [event["chosen"] for event in events if event["kind"] == "options"] == [probed.trials().chosen]
    assert len(probed.status().expected_seconds) == 3


def test_the_last_candidates_are_compared_as_they_are_blended(tmp_path: Path) -> None:
    blend = 'model.blend=[{ name = "cooccurrence" }, { name = "popularity" }]'
    run = train.run(experiment_of(PROBED, blend), tmp_path, "run")
    first, last = (trial for trial in run.trials().trials if not trial.values)
    for n_epochs, trial, at_least in ((1, first, 1.0), (2, last, 1.2)):
        alone = train.run(
            experiment_of(PROBED, f"stages.0.epochs={n_epochs}", "probe=false"), tmp_path, f"alone-{n_epochs}"
        )
        assert trial.value is not None
        assert trial.value >= at_least * alone.metrics().validation["model"]["ndcg@10"] * (1 - 1e-6)
    assert (first.n_epochs, last.n_epochs) == (1, 2)


def test_a_candidate_that_cannot_be_trained_is_told_and_left(tmp_path: Path) -> None:
    run = train.run(experiment_of(PROBED, "probe.candidates=[{ learning_rate = 1e30 }]"), tmp_path, "run")
    assert [trial.value is None for trial in run.trials().trials] == [False, True]
    assert run.trials().chosen == {}
    assert "learning_rate 1e+30 cannot be trained with: The loss is" in (run.path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "the options of the experiment"),
        ({"model.dropout": 0.5, "model.backbone.dropout": 0.5, "stages.0.optimiser.learning_rate": 1e-2},
         "dropout 0.5, learning_rate 0.01"),
        ({"model.dropout": 0.5, "model.backbone.dropout": 0.1}, "model.dropout 0.5, backbone.dropout 0.1"),
    ],
)  # fmt: skip
def test_options_are_shown_in_short(values: dict[str, Any], text: str) -> None:
    assert shown_options(values) == text


def test_options_that_are_no_better_are_not_taken(tmp_path: Path) -> None:
    slower = "probe.candidates=[{ learning_rate = 1e-7 }, { weight_decay = 0.011 }]"
    run = train.run(experiment_of(PROBED, "stages.0.optimiser.learning_rate=1e-2", slower), tmp_path, "run")
    assert run.trials().chosen == {}
    assert run.experiment().probe.candidates == []
    plain = train.run(experiment_of(PROBED, "stages.0.optimiser.learning_rate=1e-2", "probe=false"), tmp_path, "plain")
    assert dump_experiment(plain.experiment()) == dump_experiment(run.experiment())
    assert same(load_file(plain.weights), load_file(run.weights))


@pytest.mark.parametrize("n_events", [1, 7, 12])
def test_a_run_goes_on_with_the_trials_that_are_left(
    probed: p5core.Run, tmp_path: Path, n_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = StopAfter(n_events)
    monkeypatch.setattr(train.RunLogger, "working", stopped.working)
    monkeypatch.setattr(train.RunLogger, "stop_requested", stopped.stop_requested)
    with pytest.raises(KeyboardInterrupt, match="go on with --resume"):
        train.run(experiment_of(PROBED), tmp_path, "stopped")
    monkeypatch.undo()
    run = p5core.Run(tmp_path / "stopped")
    n_ended = len(run.trials().trials)
    assert run.trials().chosen is None
    assert train.is_experiment_of(experiment_of(PROBED), run, load_plugins())
    train.resume(run)
    assert trials_of(run) == trials_of(probed)
    assert len([line for line in (run.path / "log.txt").read_text().splitlines() if "Trial" in line]) == 6
    assert n_ended < 6
    assert same(load_file(run.weights), load_file(probed.weights))
    assert train.is_experiment_of(experiment_of(PROBED), run, load_plugins())
    assert not train.is_experiment_of(experiment_of(PROBED, "probe=false"), run, load_plugins())


class StopAfter:
    """Asks a run to stop after so many signs of life."""

    def __init__(self, n: int) -> None:
        self.n = n

    def working(self) -> None:
        self.n -= 1

    def stop_requested(self) -> bool:
        return self.n <= 0


def test_a_changed_record_is_refused(probed: p5core.Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(probed.path, copy)
    record = copy / "probe.json"
    record.write_text(record.read_text().replace("0.01", "0.02", 1))
    run = p5core.Run(copy)
    for reader in (run.experiment, run.verify):
        with pytest.raises(RunError, match=r"probe\.json was changed"):
            reader()
    record.unlink()
    with pytest.raises(RunError, match=r"lacks its file probe\.json"):
        run.verify()


def test_a_refit_keeps_the_chosen_options(probed: p5core.Run) -> None:
    again = refit(probed, "again")
    assert dump_experiment(again.experiment()) == dump_experiment(probed.experiment())
    assert not (again.path / "probe.json").exists()


def test_a_search_and_a_comparison_train_what_is_written(probed: p5core.Run, tmp_path: Path) -> None:
    registry = load_plugins()
    plan = Plan(experiment_of(PROBED), tmp_path / "tune", tmp_path, 1)
    assert Worker(plan, registry).experiment.probe.candidates == []
    later = experiment_of(PROBED, f"stages.0.from={probed.path}", "stages.0.epochs=1")
    made = finetune(later, tmp_path, "tuned", registry)
    assert [run.trials().trials for run in (made.run, made.other)] == [[], []]


def test_a_run_that_starts_from_weights_keeps_its_options(probed: p5core.Run) -> None:
    later = experiment_of(PROBED, f"stages.0.from={probed.name}")
    assert train.run(later, probed.path.parent, "later").trials().trials == []
