"""Runs that are stopped, killed or damaged: what is said is true, and what goes on ends as if it had not been."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import SMALL, experiment_of

import p5core
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import RunEvent, ValidationEvent
from p5core.errors import RunError, TrainingError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.documents import RunState, Status
from p5core.runs.lock import alone_in
from p5core.system.files import read_json, sha256, write_json
from p5core.system.processes import born
from p5core.training import loop as stage
from p5core.workflows import train as pipeline
from p5plugins.scorers.cooccurrence import CoOccurrence
from p5plugins.scorers.popularity import Popularity

OWN = "{name='synthetic', n_users=50, n_items=40, n_events=600, n_clusters=5, seed=2}"

STAGES = f"""stages=[
    {{ name = "pretrain", data = {OWN}, tasks = [{{ name = "next_item" }}], epochs = 2 }},
    {{ name = "finetune", tasks = [{{ name = "next_item" }}], epochs = 2 }},
]"""


def experiment(*assignments: str) -> Experiment:
    blend = "model.blend=[{ name = 'cooccurrence', content = 'all', n_neighbours = 5 }]"
    return experiment_of(SMALL, blend, STAGES, *assignments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def whole(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return p5core.run(experiment(), tmp_path_factory.mktemp("runs"), "whole", registry)


def ends_like(run: p5core.Run, whole: p5core.Run) -> None:
    assert run.state() == "done"
    run.verify()
    for name in ("weights.safetensors", "per_user.safetensors"):
        assert sha256(run.path / name) == sha256(whole.path / name)
    assert run.metrics().test == whole.metrics().test


def interrupt(act: Callable[[], None], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Call `act` once, when the blend is chosen or the baselines are fitted for the evaluation."""
    owner, name = {"blending": (CoOccurrence, "_count"), "evaluation": (Popularity, "fit")}[where]
    fit, calls = getattr(owner, name), []

    def once(*arguments: Any) -> Any:
        if not calls:
            calls.append(1)
            act()
        return fit(*arguments)

    monkeypatch.setattr(owner, name, once)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("where", ["blending", "evaluation"])
def test_a_signal_after_training_loses_nothing_and_says_so(
    where: str,
    number: signal.Signals,
    registry: Registry,
    whole: p5core.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        interrupt(lambda: os.kill(os.getpid(), number), patch, where)
        with pytest.raises(KeyboardInterrupt, match=r"Saved in .*; go on with --resume"):
            p5core.run(experiment(), tmp_path, "stopped", registry)
    run = p5core.open_run(tmp_path / "stopped")
    assert run.state() == "stopped"
    monkeypatch.setattr(stage._Loop, "train_step", None)  # nothing is trained again
    ends_like(p5core.resume(run, registry), whole)


def test_a_file_stops_the_evaluation_as_well(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt((tmp_path / "stopped" / "stop").touch, monkeypatch, "evaluation")
    with pytest.raises(KeyboardInterrupt, match="Saved in"):
        p5core.run(experiment(), tmp_path, "stopped", registry)
    assert p5core.open_run(tmp_path / "stopped").state() == "stopped"


def test_what_is_broken_off_says_what_is_left(
    registry: Registry, whole: p5core.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    class Hasty:
        """A display that is interrupted twice at the first validation."""

        def show(self, event: RunEvent) -> None:
            if isinstance(event, ValidationEvent):
                twice()

        def say(self, text: str) -> None:
            """Sentences do not matter here."""

    with pytest.raises(KeyboardInterrupt, match=r"before anything was saved in .*; --resume trains from the beginn"):
        p5core.run(experiment(), tmp_path, "early", registry, display=Hasty())
    with monkeypatch.context() as patch:
        interrupt(twice, patch, "evaluation")
        with pytest.raises(KeyboardInterrupt, match=r"The last checkpoint in .* is \d+ s old; what was trained"):
            p5core.run(experiment(), tmp_path, "late", registry)
    for name in ("early", "late"):
        ends_like(p5core.resume(p5core.open_run(tmp_path / name), registry), whole)


def test_a_stage_whose_data_are_missing_is_never_trained_on_others(
    registry: Registry, whole: p5core.Run, tmp_path: Path
) -> None:
    run = p5core.Run(shutil.copytree(whole.path, tmp_path / "copy"))
    (run.path / "manifest.json").unlink()
    run.checkpoints.mkdir()
    run.record_prepared()
    shutil.rmtree(run.data / "stage-0")
    with pytest.raises(RunError, match=r"lacks its file data/stage-0/events.safetensors. Restore it from a copy"):
        p5core.resume(run, registry)
    assert not (run.path / "manifest.json").exists()


@pytest.mark.parametrize("status", [{"state": "running", "pid": 2**22 + 1}, {"state": "failed", "message": "x"}, None])
def test_a_sealed_run_whose_status_was_lost_is_done(
    status: dict[str, Any] | None, registry: Registry, whole: p5core.Run, tmp_path: Path
) -> None:
    run = p5core.Run(shutil.copytree(whole.path, tmp_path / "copy"))
    (run.path / "status.json").unlink()
    if status is not None:
        write_json(run.path / "status.json", status)
    run.checkpoints.mkdir()
    ends_like(p5core.resume(run, registry), whole)
    assert read_json(run.path / "status.json")["state"] == "done"
    with pytest.raises(RunError, match="is finished; there is nothing to resume"):
        p5core.resume(run, registry)


def test_a_run_that_is_being_written_is_not_resumed(registry: Registry, whole: p5core.Run, tmp_path: Path) -> None:
    run = p5core.Run(shutil.copytree(whole.path, tmp_path / "copy"))
    (run.path / "manifest.json").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in run.path.iterdir()}
    pid = os.fork()
    if not pid:
        with run.locked():
            (tmp_path / "held").touch()
            signal.pause()
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "held").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(RunError, match=r"is being written by another process \(pid \d+\)"):
            p5core.resume(run, registry)
        assert {name: (run.path / name).stat().st_mtime_ns for name in before if name != "lock"} == {
            name: at for name, at in before.items() if name != "lock"
        }
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_run_whose_lock_was_deleted_is_not_resumed_beside_its_process(
    registry: Registry, whole: p5core.Run, tmp_path: Path
) -> None:
    run = p5core.Run(shutil.copytree(whole.path, tmp_path / "copy"))
    (run.path / "manifest.json").unlink()
    for pid, began, says in (
        (os.getppid(), born(os.getppid()), r"is being written by another process \(pid \d+\)"),
        (os.getppid(), "1.0", "lacks its file"),  # a process that had this number before
    ):
        run.write_status(Status(state=RunState.RUNNING, pid=pid, born=began))
        with pytest.raises(RunError, match=says):
            p5core.resume(run, registry)


def test_a_folder_whose_lock_was_deleted_is_not_entered_beside_its_process(tmp_path: Path) -> None:
    write_json(tmp_path / "process.json", {"pid": os.getppid(), "born": born(os.getppid())})
    with pytest.raises(RunError, match=rf"in use by another process \(pid {os.getppid()}\)"), alone_in(tmp_path):
        pass
    write_json(tmp_path / "process.json", {"pid": os.getppid(), "born": "1.0"})
    with alone_in(tmp_path):
        assert read_json(tmp_path / "process.json")["pid"] == os.getpid()
    assert not (tmp_path / "process.json").exists()


def test_what_a_killed_update_left_is_not_trained(registry: Registry, whole: p5core.Run, tmp_path: Path) -> None:
    run = p5core.Run(shutil.copytree(whole.path, tmp_path / "copy"))
    (run.path / "manifest.json").unlink()
    write_json(run.path / "run.json", {**read_json(run.path / "run.json"), "updated_from": "whole"})
    with pytest.raises(RunError, match=r"left behind by a 'p5 update' that did not end. Delete it and"):
        p5core.resume(run, registry)


def test_a_metric_that_is_nan_chooses_no_epoch(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"stage 'finetune' watches, 'ild@1', is NaN on validation events"):
        pipeline.run(experiment("stages.1.watch=ild@1"), tmp_path, "nan", registry)
