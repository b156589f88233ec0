"""A recipe that is trained again on all events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from support import SMALL, Interrupter, experiment_of

import p5core
from p5core.cli import build
from p5core.errors import RunError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.runs.run import Run
from p5core.training import loop
from p5core.workflows.evaluate_run import evaluate_run
from p5core.workflows.recommend import Recommender
from p5core.workflows.refit import go_on, refit
from p5core.workflows.train import resume

REGISTRY = load_plugins()
SETTINGS = ('model.blend=[{name="cooccurrence"}]', "stages.0.epochs=4", "stages.0.tasks=[{name='next_item'}]")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose best epoch is not its last one."""
    folder = tmp_path_factory.mktemp("runs")
    values = iter([0.1, 0.3, 0.2, 0.1])
    original = loop._Loop.validate
    with pytest.MonkeyPatch.context() as patch:

        def validate(self: loop._Loop) -> None:
            figure = next(values)
            object.__setattr__(self.stage, "validate", lambda network: {self.stage.watch: figure})
            original(self)

        patch.setattr(loop._Loop, "validate", validate)
        return p5core.run(experiment_of(SMALL, *SETTINGS), runs=folder, name="first")


@pytest.fixture(scope="module")
def whole(measured: Run) -> Run:
    return refit(measured, "whole", REGISTRY)


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(REGISTRY), [str(argument) for argument in arguments])


def test_every_event_is_learnt_from_for_as_many_epochs_as_were_best(measured: Run, whole: Run) -> None:
    data = load_run_data(whole, REGISTRY)
    events = data.target.dataset.events
    assert whole.info().refit is not None
    assert whole.info().refit.epochs == [2]
    counts = load_file(whole.weights)["items.counts"].numpy()
    assert counts.tolist() == np.bincount(events.items, minlength=len(counts)).tolist()
    assert load_file(measured.weights)["items.counts"].sum() < counts.sum()
    log = (whole.path / "events.jsonl").read_text()
    assert '"kind": "validation"' not in log
    assert '"epoch": 3' not in log


def test_the_scorers_are_fitted_to_all_events_and_keep_their_weights(measured: Run, whole: Run) -> None:
    before, after = (load_model(run, load_run_data(run, REGISTRY), REGISTRY).blend for run in (measured, whole))
    assert before is not None
    assert after is not None
    assert after.weights == before.weights
    assert after.scorers[0].config == before.scorers[0].config
    assert after.scorers[0].state()["popularity"].tolist() != before.scorers[0].state()["popularity"].tolist()


def test_the_figures_are_those_of_the_measured_run_and_say_so(measured: Run, whole: Run) -> None:
    assert whole.metrics().test == measured.metrics().test
    assert "Measured on 'first', before the recipe was trained again on all events." in whole.metrics().protocol
    with pytest.raises(RunError, match=r"trained on all events, .*nothing is left to measure it on\. Evaluate 'first'"):
        evaluate_run(whole, REGISTRY, {})


def test_it_is_used_like_any_run(whole: Run) -> None:
    whole.verify()
    assert len(Recommender.load(whole.path, REGISTRY).recommend([], 5)) == 5
    exported = p5("export", whole.path)
    assert exported.exit_code == 0, exported.output
    assert p5("verify", whole.path / "export").exit_code == 0
    card = (whole.path / "export" / "README.md").read_text()
    assert "Trained on all events by the recipe of 'first', whose figures stand below." in card


def test_a_stopped_refit_goes_on_exactly(measured: Run, whole: Run) -> None:
    folder = measured.path.parent / "stopped"
    with pytest.raises(KeyboardInterrupt, match=r"Saved in .*stopped"):
        refit(measured, "stopped", REGISTRY, _StopAtOnce(folder))
    stopped = Run(folder)
    assert not stopped.is_sealed()
    with pytest.raises(RunError, match=r"Go on with: p5 refit .*first --name stopped --resume"):
        resume(stopped, REGISTRY)
    again = p5("refit", measured.path, "--name", "stopped", "--resume")
    assert again.exit_code == 0, again.output
    assert stopped.weights.read_bytes() == whole.weights.read_bytes()
    with pytest.raises(RunError, match="is finished; there is nothing to resume"):
        go_on(stopped, REGISTRY)


class _StopAtOnce(Interrupter):
    """Asks a run to stop when it begins."""

    def say(self, text: str) -> None:
        (self.folder / "stop").touch()


def test_a_refit_and_an_unfinished_run_are_refused(measured: Run, whole: Run) -> None:
    with pytest.raises(RunError, match="comes from 'first' and has no held-out events of its own"):
        refit(whole, "again", REGISTRY)
    with pytest.raises(RunError, match="is no refit of another run"):
        go_on(measured, REGISTRY)
    assert not (measured.path.parent / "again").exists()


def test_a_scorer_alone_is_fitted_to_all_events(tmp_path: Path) -> None:
    data = SMALL.split("[model]")[0] + '[model]\nscorer = "item_knn"\n[evaluate]\nresamples = 10\n'
    first = p5core.run(experiment_of(data), runs=tmp_path, name="knn")
    whole = refit(first, None, REGISTRY)
    assert whole.name != first.name
    of_whole, of_first = (load_file(run.weights)["items.counts"].sum() for run in (whole, first))
    assert of_whole > of_first
