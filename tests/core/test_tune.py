"""The search for options: its trials, and what it leaves behind."""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from optuna.trial import TrialState
from support import experiment_of

from p5core.cli import build
from p5core.config.base import Choices, Tunable
from p5core.config.document import load_experiment, with_values
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import StageEvent, ValidationEvent
from p5core.errors import ConfigError, RunError
from p5core.fitting.search_space import Option
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.lock import alone_in
from p5core.tuning import study as study_module
from p5core.tuning import tune as tune_module
from p5core.tuning import worker as work_module
from p5core.tuning.report import trials_table
from p5core.tuning.study import Study
from p5core.tuning.tune import tune
from p5core.tuning.worker import Plan, TrialLog, Worker
from p5core.workflows import train as pipeline

SMALL = """
[data]
name = "synthetic"
n_users = 40
n_items = 30
n_events = 500
n_clusters = 8

[model]
width = 8
max_length = 10
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item", loss = { name = "cross_entropy" } }]
epochs = 2

[evaluate]
resamples = 0
baselines = []
"""


def small(*assignments: str) -> Experiment:
    return experiment_of(SMALL, *assignments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(small(), tmp_path / "small-tune", tmp_path, n_trials=3, only=("learning_rate", "n_heads"))


def found(study: Study) -> list[tuple[Any, ...]]:
    return [(one.number, one.state, one.value, one.params) for one in study.ended()]


def validated(epoch: int, metrics: dict[str, float]) -> ValidationEvent:
    return ValidationEvent("train", epoch, epoch, 1.0, is_best=True, share=0.5, metrics=metrics)


def quiet(_line: str) -> None:
    """Nobody reads along."""


@pytest.mark.parametrize("blend", [[], ["model.blend=[{name='cooccurrence', n_neighbours=20}]"]])
def test_a_trial_is_judged_by_validation_events_alone(registry: Registry, plan: Plan, blend: list[str]) -> None:
    plan = replace(plan, experiment=small(*blend), n_trials=1)
    run = pipeline.run(plan.experiment, plan.runs, "run", registry)
    worker = Worker(plan, registry)
    target = worker.data.target
    blind = replace(target, split=replace(target.split, test=SimpleNamespace()))
    worker.data = replace(worker.data, target=blind, stages=[[blind]])
    plan.folder.mkdir()
    worker.work(quiet)
    (trial,) = worker.study().ended()
    assert trial.value == pytest.approx(run.metrics().validation["model"]["ndcg@10"])
    assert trial.params == {one.key: one.own for one in worker.options}


def test_a_search_goes_on_as_if_it_had_not_stopped(registry: Registry, plan: Plan, tmp_path: Path) -> None:
    _, whole = tune(plan, registry, quiet)
    parts = replace(plan, folder=tmp_path / "parts-tune")
    tune(replace(parts, n_trials=2), registry, quiet)
    lines: list[str] = []
    worker, again = tune(parts, registry, lines.append)
    assert found(again) == found(whole)
    assert lines[0].startswith("By ndcg@10 on validation events, 2 of 3 trials done: n_heads, learning_rate")
    assert lines[1].startswith("3 of 3 (trial 2): ndcg@10 0.")
    assert len(lines) == 2
    best = again.best_first()[0]
    assert best.value == max(one.value or 0.0 for one in again.ended())
    assert load_experiment(parts.folder / "best.toml") == with_values(worker.experiment, best.params)
    with (parts.folder / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["model.backbone.n_heads"]) for row in rows] == [
        one.params["model.backbone.n_heads"] for one in again.ended()
    ]
    plots = {path.name for path in (parts.folder / "plots").iterdir()}
    assert plots == {"history.png", "n_heads.png", "learning_rate.png"}
    assert not (parts.folder / "trials").exists()


def test_fine_tuning_can_be_searched(registry: Registry, plan: Plan) -> None:
    pipeline.run(plan.experiment, plan.runs, "first", registry)
    options = ("stages.0.from=first", "stages.0.epochs=1", "stages.0.optimiser.learning_rate=1e-9")
    worker, study = tune(replace(plan, experiment=small(*options), only=(), n_trials=1), registry, quiet)
    fresh = with_values(worker.experiment, {"stages.0.from": ""})
    _, from_nothing = tune(
        Plan(fresh, plan.runs / "fresh-tune", plan.runs, 1, only=("learning_rate",)), registry, quiet
    )
    assert (study.best_first()[0].value or 0.0) > (from_nothing.best_first()[0].value or 0.0)


def test_another_experiment_or_other_options_are_refused(registry: Registry, plan: Plan) -> None:
    tune(replace(plan, n_trials=1), registry, quiet)
    for other in (replace(plan, experiment=small("seed=1")), replace(plan, only=("n_heads",))):
        with pytest.raises(ConfigError, match="small-tune holds the search of another experiment or of other options"):
            tune(other, registry, quiet)


def test_options_that_do_not_work_cost_one_trial(registry: Registry, plan: Plan) -> None:
    plan = replace(plan, experiment=small("model.width=9", "model.backbone.n_heads=3"), n_trials=4)
    _, study = tune(plan, registry, quiet)
    for trial in study.ended():
        works = 9 % trial.params["model.backbone.n_heads"] == 0
        assert trial.state == (TrialState.COMPLETE if works else TrialState.FAIL)
        assert works or "model.width 9 cannot be shared" in trial.user_attrs["reason"]
    assert {one.state for one in study.ended()} == {TrialState.COMPLETE, TrialState.FAIL}
    assert "cannot be shared" in (plan.folder / "trials.csv").read_text()


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (lambda: float("nan"), r"ndcg@10 is nan on validation events"),
        (lambda: (_ for _ in ()).throw(MemoryError), "not enough memory"),
    ],
)
def test_a_trial_without_a_figure_fails(
    registry: Registry, plan: Plan, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[], Any], reason: str
) -> None:
    def run_trial(*_arguments: Any) -> float:
        value = outcome()
        return value if isinstance(value, float) else next(value)

    monkeypatch.setattr(work_module, "run_trial", run_trial)
    _, study = tune(replace(plan, n_trials=1), registry, quiet)
    assert reason in study.ended()[0].user_attrs["reason"]
    assert not study.best_first()


def test_an_interrupted_trial_is_tried_again(registry: Registry, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Experiment] = []

    def run_trial(data: Any, _registry: Registry, checkpoints: Path, *_others: Any) -> float:
        assert checkpoints.is_dir()
        asked.append(data.experiment)
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        return 0.5

    monkeypatch.setattr(work_module, "run_trial", run_trial)
    with pytest.raises(KeyboardInterrupt, match=r"Saved in .*small-tune; the same command goes on"):
        tune(plan, registry, quiet)
    assert (plan.folder / "best.toml").exists()
    _, study = tune(plan, registry, quiet)
    assert [one.number for one in study.ended()] == [0, 2, 3]
    assert asked[1] == asked[2]


def test_other_faults_are_not_hidden(registry: Registry, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_trial(*_arguments: Any) -> float:
        raise ZeroDivisionError("a fault of a part")

    monkeypatch.setattr(work_module, "run_trial", run_trial)
    with pytest.raises(ZeroDivisionError, match="a fault of a part"):
        tune(plan, registry, quiet)


def a_study(folder: Path, *, higher_is_better: bool = True) -> Study:
    options = [Option("x", 0.5, Tunable(0, 1)), Option("kind", "a", Choices(("a", "b")))]
    return Study(folder, options, 0, higher_is_better=higher_is_better, n_epochs=4)


def filled(study: Study, n_trials: int) -> Study:
    while (trial := study.claim(n_trials)) is not None:
        values = [one.suggest(trial) for one in study.options]
        study.finish(trial, float(values[0]))
    return study


@pytest.mark.parametrize("n_drawn", [0, 1, 2])
def test_a_trial_whose_process_was_killed_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_drawn: int
) -> None:
    """The process dies before, between or after its draws; the search ends as if it had not."""
    whole, folder = filled(a_study(tmp_path), 14), tmp_path / "killed"
    folder.mkdir()
    study = filled(a_study(folder), 12)
    trial = study.claim(13)
    assert trial is not None
    for option in study.options[:n_drawn]:
        option.suggest(trial)
    assert study.claim(13) is None  # its process lives
    monkeypatch.setattr(study_module, "lives", lambda *_process: False)
    again = filled(a_study(folder), 14)
    assert [one.params for one in again.ended()] == [one.params for one in whole.ended()]
    assert [one.value for one in again.best_first()] == [one.value for one in whole.best_first()]


def test_a_trial_that_kills_its_process_each_time_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = a_study(tmp_path)
    monkeypatch.setattr(study_module, "lives", lambda *_process: False)
    for _ in range(3):
        assert study.claim(1) is not None
    assert study.claim(1) is None
    (failed,) = study.ended()
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["reason"] == "its process was killed 3 times"


def test_a_journal_that_was_cut_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = [one.params for one in filled(a_study(tmp_path), 4).ended()]
    journal = tmp_path / "journal.log"
    content = journal.read_bytes()
    for end in range(len(content) - 7, 0, -len(content) // 30):
        journal.write_bytes(content[:end])
        again = a_study(tmp_path)
        again.begin()
        assert [one.params for one in filled(again, 4).ended()] == whole, f"cut at {end}"
        assert journal.read_bytes().startswith(content[: content[:end].rfind(b"\n") + 1])


def test_a_search_whose_journal_was_cut_ends_as_if_it_had_not_been(registry: Registry, plan: Plan) -> None:
    _, whole = tune(plan, registry, quiet)
    expected, best = found(whole), (plan.folder / "best.toml").read_text()
    journal = plan.folder / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1])[:-5])  # the last trial is open again, and of this process
    _, again = tune(plan, registry, quiet)
    assert [row[2:] for row in found(again)] == [row[2:] for row in expected]
    assert (plan.folder / "best.toml").read_text() == best


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_damaged_record_is_named(tmp_path: Path, share: float) -> None:
    filled(a_study(tmp_path), 4)
    journal = tmp_path / "journal.log"
    content = bytearray(journal.read_bytes())
    content[int(len(content) * share)] ^= 1
    journal.write_bytes(content)
    with pytest.raises(RunError, match=r"journal.log, line \d+: the record was damaged. Restore what was there"):
        a_study(tmp_path)


def test_records_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    whole = [one.value for one in filled(a_study(tmp_path), 3).ended()]
    journal = tmp_path / "journal.log"
    lines = [line.split(" ", 1)[1] for line in journal.read_text().splitlines(keepends=True)]
    journal.write_text("".join(lines))
    again = filled(a_study(tmp_path), 4)
    assert [one.value for one in again.ended()][:3] == whole
    assert len(again.ended()) == 4


def test_a_search_belongs_to_its_data_and_options(tmp_path: Path) -> None:
    """Trials of other data say nothing of these."""

    def search(seed: int) -> str:
        lines = [f"{user},{(user * seed + step * step) % 19},{step}" for user in range(30) for step in range(6)]
        (tmp_path / "log.csv").write_text("user,item,time\n" + "\n".join(lines))
        text = SMALL.replace("synthetic", "table").split("[model]")
        head = f'[data]\nname = "table"\npath = "{tmp_path}/log.csv"\n[model]{text[1]}'
        (tmp_path / "e.toml").write_text(head)
        command = [
            "tune",
            str(tmp_path / "e.toml"),
            "--runs",
            str(tmp_path),
            "--trials",
            str(seed),
            "--only",
            "n_heads",
        ]
        return CliRunner().invoke(build(load_plugins()), command).output

    assert "Trials:" in search(1)
    assert "journal.log, line 1: the record was damaged, or is of other data or other options" in search(2)


def test_a_search_is_one_process_s(registry: Registry, plan: Plan) -> None:
    tune(replace(plan, n_trials=1), registry, quiet)
    said = rf"is in use by another process \(pid {os.getpid()}\)"
    with alone_in(plan.folder), pytest.raises(RunError, match=said):
        tune(plan, registry, quiet)


def test_processes_together_run_as_many_trials_as_planned(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _nth: filled(a_study(tmp_path), 9), range(4)))
    assert [one.number for one in a_study(tmp_path).ended()] == list(range(9))


def test_the_lowest_may_be_the_best(tmp_path: Path) -> None:
    study = filled(a_study(tmp_path, higher_is_better=False), 12)
    values = [one.value for one in study.best_first()]
    assert values == sorted(values, key=float)
    assert trials_table(study, "rmse").row_count == 3
    importances = study.importances()
    assert importances["x"] > importances["kind"]


def test_importances_wait_for_trials(tmp_path: Path) -> None:
    assert filled(a_study(tmp_path), 5).importances() == {}


def test_a_trial_that_is_worse_than_most_is_pruned() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(3, n_warmup_steps=2))
    for value in (0.5, 0.6, 0.4):
        log = TrialLog(study.ask(), "hr@10", [2, 3])
        log.event(validated(1, {"hr@10": 0.1}))
        log.event(StageEvent("train", 1, 1.0))
        log.event(validated(1, {"hr@10": value}))
        study.tell(log.trial, value)
    log = TrialLog(study.ask(), "hr@10", [2, 3])
    assert not log.stop_requested()
    log.event(validated(1, {"hr@10": 0.0}))  # too early to say
    log.event(validated(2, {"ndcg@10": 0.0}))  # another metric
    log.event(StageEvent("train", 1, 1.0))
    with pytest.raises(optuna.TrialPruned):
        log.event(validated(1, {"hr@10": 0.45}))
    assert study.trials[-1].last_step == 3


def test_pruned_trials_are_written_down(registry: Registry, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.5, 0.6, 0.7, 0.8, 0.1])

    def run_trial(_data: Any, _registry: Registry, _checkpoints: Path, log: TrialLog, _known: Any) -> float:
        value = next(values)
        log.event(validated(1, {"ndcg@10": value}))
        return value

    monkeypatch.setattr(work_module, "run_trial", run_trial)
    lines: list[str] = []
    tune(replace(plan, n_trials=5), registry, lines.append)
    assert "ndcg@10 0.1000, pruned after epoch 1; best 0.8000 (trial 3)" in lines[-1]
    assert "\n4,pruned,0.1," in (plan.folder / "trials.csv").read_text()


def test_a_helper_works_on_the_same_study(registry: Registry, plan: Plan) -> None:
    tune(replace(plan, n_trials=1), registry, quiet)
    tune_module.help_out(replace(plan, n_trials=2))
    assert len(Worker(plan, registry).study().ended()) == 2


def p5(*arguments: object) -> Any:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def test_a_search_without_a_complete_trial_says_so(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    result = p5("tune", file, "--runs", tmp_path, "--set", "model.width=9", "--only", "temperature", "--trials", 1)
    assert result.exit_code == 1
    assert "No trial was completed" in result.output
    assert "failed: model.width 9 cannot be shared by 2 attention heads" in result.output


@pytest.mark.parametrize("package", ["optuna", "matplotlib"])
def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = p5("tune", "any.toml")
    assert f"'p5 tune' needs the package {package}, which is not installed" in result.output
    assert "pip install 'p5rec[tune]'" in result.output
