"""Runs lose nothing that was trained, trust no damaged file, and say beforehand what will not do."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from support import SMALL, experiment_of

import p5core
from p5core.cli import build
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import RunEvent, StepEvent
from p5core.errors import ConfigError, RunError, TrainingError
from p5core.fitting import fit
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.documents import RunState, Status
from p5core.system import folders
from p5core.system.files import sha256, write_bytes
from p5core.system.folders import hidden_path, remove_leftovers, replace_folder
from p5core.system.processes import born
from p5core.training import loop
from p5core.training.checkpoint import load_checkpoint
from p5core.workflows import train
from p5plugins.scorers.popularity import Popularity

BLEND = "model.blend=[{ name = 'cooccurrence', n_neighbours = 5 }]"
SMALL_BATCHES = "stages.0.token_budget=60"


class Killed(BaseException):
    """The end of a process, as far as the run can tell."""


class KillAt:
    """A display that ends the process after a number of steps, in an epoch or in any."""

    def __init__(self, step: int, epoch: int = 0) -> None:
        self.step, self.epoch = step, epoch

    def show(self, event: RunEvent) -> None:
        if isinstance(event, StepEvent) and event.step >= self.step and event.epoch >= self.epoch:
            raise Killed

    def say(self, text: str) -> None:
        """Sentences do not matter here."""


def experiment(*assignments: str) -> Experiment:
    return experiment_of(SMALL, BLEND, SMALL_BATCHES, *assignments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def whole(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return p5core.run(experiment(), tmp_path_factory.mktemp("runs"), "whole", registry)


@pytest.fixture
def killed(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> p5core.Run:
    """A run that was killed in its first epoch, with a checkpoint after each step but the last."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0.0)
        with pytest.raises(Killed):
            p5core.run(experiment(), tmp_path, "killed", registry, display=KillAt(5))
    return p5core.open_run(tmp_path / "killed")


def test_a_kill_within_an_epoch_loses_what_came_after_the_last_checkpoint(
    registry: Registry, whole: p5core.Run, killed: p5core.Run
) -> None:
    _, _, progress = load_checkpoint(killed.last_checkpoint)
    assert (progress.epoch, progress.step) == (0, 4)
    run = p5core.resume(killed, registry)
    assert sha256(run.weights) == sha256(whole.weights)
    assert run.metrics().test == whole.metrics().test


def test_checkpoints_are_made_by_the_clock(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(loop._Loop, "save", lambda self: saved.append(self.progress.step) or self._saved())
    monkeypatch.setattr(
        loop._Loop, "_saved", lambda self: setattr(self, "saved_at", loop.time.monotonic()), raising=False
    )
    p5core.run(experiment(), tmp_path, "run", registry)
    assert len(saved) > 3
    assert all(later - earlier <= 5 for earlier, later in itertools.pairwise(saved))  # of 7 s and more each


def flip(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int((len(content) - 1) * share)] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_a_flipped_bit_in_an_unfinished_run_is_a_sentence(
    registry: Registry, killed: p5core.Run, tmp_path: Path, share: float
) -> None:
    places = [path.relative_to(killed.path) for path in sorted(killed.path.rglob("*")) if path.is_file()]
    read = [place for place in places if place.suffix in (".safetensors", ".parquet", ".toml") or place.name in
            ("run.json", "report.json", "prepared.json")]  # fmt: skip
    assert len(read) >= 9
    for place in read:
        copy = p5core.Run(Path(shutil.copytree(killed.path, tmp_path / "copy")))
        flip(copy.path / place, share)
        with pytest.raises((RunError, ConfigError)):
            p5core.resume(copy, registry)
        assert not copy.is_sealed(), place
        shutil.rmtree(copy.path)


def test_a_blend_is_chosen_once(
    registry: Registry, whole: p5core.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Popularity, "fit", broken)
        with pytest.raises(Killed):
            p5core.run(experiment(), tmp_path, "killed", registry)
    run = p5core.open_run(tmp_path / "killed")
    damaged = p5core.Run(Path(shutil.copytree(run.path, tmp_path / "damaged")))
    flip(damaged.path / "blend.safetensors", 0.9)
    monkeypatch.setattr(fit, "choose_blend", broken)
    with pytest.raises(RunError, match=r"blend.safetensors was changed since P5 wrote it"):
        p5core.resume(damaged, registry)
    p5core.resume(run, registry)
    assert (run.path / "blend.json").read_bytes() == (whole.path / "blend.json").read_bytes()
    assert run.metrics().test == whole.metrics().test


def killed_in_training(registry: Registry, folder: Path, name: str, *assignments: str) -> p5core.Run:
    """A run that was killed after its first validation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0.0)
        with pytest.raises(Killed):
            p5core.run(experiment(*assignments), folder, name, registry, display=KillAt(2, epoch=2))
    run = p5core.open_run(folder / name)
    assert load_checkpoint(run.last_checkpoint)[2].epoch == 1
    return run


def test_checkpoints_of_another_run_are_refused(registry: Registry, tmp_path: Path) -> None:
    run = killed_in_training(registry, tmp_path, "one", "stages.0.epochs=3")
    other = killed_in_training(registry, tmp_path, "other", "stages.0.epochs=3", "seed=3")
    for name in ("last.safetensors", "best-0.safetensors"):
        copy = p5core.Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
        shutil.copy(other.checkpoints / name, copy.checkpoints)
        if name.startswith("best"):  # it is read when the stage ends without a better one
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loop._Loop, "train_epoch", lambda self: _skip_epoch(self))
                patch.setattr(loop._Loop, "validate", lambda self: None)
                with pytest.raises(RunError, match=f"{name} is of another run. Restore that of this run"):
                    p5core.resume(copy, registry)
        else:
            with pytest.raises(RunError, match=f"{name} is of another run. Restore that of this run"):
                p5core.resume(copy, registry)
        assert not copy.is_sealed()
        shutil.rmtree(copy.path)


def _skip_epoch(one: Any) -> None:
    one.progress = one.progress.next_epoch()


def killed_in_evaluation(registry: Registry, folder: Path, name: str, *assignments: str) -> p5core.Run:
    def broken(*_arguments: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popularity, "fit", broken)
        with pytest.raises(Killed):
            p5core.run(experiment(*assignments), folder, name, registry)
    return p5core.open_run(folder / name)


@pytest.mark.parametrize("listed", [None, '{"format": 2, "files": {}}', '{"format": 99, "files": {}}'])
def test_a_blend_of_another_run_is_refused(registry: Registry, tmp_path: Path, listed: str | None) -> None:
    run = killed_in_evaluation(registry, tmp_path, "one")
    other = killed_in_evaluation(registry, tmp_path, "other", "seed=3")
    for name in ("blend.json", "blend.safetensors", "checkpoints/blend.json"):
        shutil.copy(other.path / name, run.path / name)
    if listed is not None:
        run.blended.write_text(listed)
    with pytest.raises(RunError, match=r"prepared.json was changed|blend.json does not list|blend.json has format 99"):
        p5core.resume(run, registry)
    assert not run.is_sealed()


def test_what_tells_an_unfinished_run_from_others_cannot_be_changed(registry: Registry, killed: p5core.Run) -> None:
    about = (killed.path / "run.json").read_text()
    (killed.path / "run.json").write_text(about.replace('"format": 2', '"format": 1'))
    with pytest.raises(RunError, match=r"run.json was changed since P5 wrote it"):
        p5core.resume(killed, registry)


def test_a_run_that_starts_from_another_goes_on_with_that_one_alone(registry: Registry, tmp_path: Path) -> None:
    p5core.run(experiment("stages.0.epochs=1"), tmp_path, "src", registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0.0)
        with pytest.raises(Killed):
            p5core.run(experiment("stages.0.from=src"), tmp_path, "tuned", registry, display=KillAt(2))
    shutil.rmtree(tmp_path / "src")
    p5core.run(experiment("stages.0.epochs=1", "seed=8"), tmp_path, "src", registry)
    run = p5core.open_run(tmp_path / "tuned")
    assert not run.last_checkpoint.exists()
    with pytest.raises(RunError, match=r"started from .*src, which is another one now. Put the former one back"):
        p5core.resume(run, registry)


def test_folds_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(SMALL.replace("[[stages]]", '[[stages]]\nfrom = "src"'))
    (tmp_path / "src.toml").write_text(SMALL)
    runs = ["--runs", str(tmp_path / "runs")]
    group = build(load_plugins())
    assert CliRunner().invoke(group, ["run", str(tmp_path / "src.toml"), "--name", "src", *runs]).exit_code == 0
    command = ["run", str(tmp_path / "e.toml"), "--name", "folds", "--folds", "3", *runs]
    with pytest.MonkeyPatch.context() as patch:
        fitted = Popularity.fit
        calls: list[int] = []

        def fit(self: Popularity, *arguments: Any) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            fitted(self, *arguments)

        patch.setattr(Popularity, "fit", fit)
        assert CliRunner().invoke(group, command).exit_code == 130
    states = [run.state() for run in p5core.list_runs(tmp_path / "runs" / "folds")]
    assert sorted(states) == ["done", "stopped"]
    before = (tmp_path / "runs" / "folds" / "fold-1" / "manifest.json").stat().st_mtime_ns
    result = CliRunner().invoke(group, [*command, "--resume"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "runs" / "folds" / "fold-1" / "manifest.json").stat().st_mtime_ns == before
    assert len(list((tmp_path / "runs" / "folds").glob("fold-*/manifest.json"))) == 3
    assert (tmp_path / "runs" / "folds" / "folds.json").exists()


def test_a_line_that_was_cut_ends_before_the_next(registry: Registry, killed: p5core.Run) -> None:
    events = killed.path / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-5])
    p5core.resume(killed, registry)
    kinds = []
    for line in events.read_text().splitlines():
        with contextlib.suppress(ValueError):
            kinds.append(json.loads(line)["kind"])
    assert "resume" in kinds


def test_a_nearly_full_disk_is_named_before_training(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    for free, is_named in ((20_000, True), (10**12, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: usage(10**12, 0, free))
        plan = train.plan_run(experiment(), tmp_path / "deep" / "runs", registry)
        assert any("Free some space, or choose another folder" in one for one in plan.data.sentences) is is_named


@pytest.mark.parametrize("option", ["model.width=16384", "model.width=1024,model.backbone.n_layers=256"])
def test_a_network_beyond_memory_is_refused_before_it_is_made(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(train.Engine, "free_memory", lambda _self: 2**20)
    with pytest.raises(TrainingError, match=r"There is not enough memory. Lower model.width, model.max_length"):
        p5core.run(experiment(*option.split(",")), tmp_path, "large", registry)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("x: can't allocate memory: 9")]
)
def test_a_step_beyond_memory_says_what_to_lower(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def step(*_arguments: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(train, "estimate", lambda *arguments: train.Estimate(1, 1, (1.0, 1.0), 1, 1, 0, 1))
        patch.setattr(loop._Loop, "train_step", step)
        with pytest.raises(TrainingError, match=r"Lower stages.0.token_budget \(now 60\), model.max_length or model"):
            p5core.run(experiment(), tmp_path, "large", registry)
    assert p5core.open_run(tmp_path / "large").state() == "failed"
    monkeypatch.setattr(train, "evaluate_all", step)
    with pytest.raises(TrainingError, match=r"Lower evaluate.memory \(now 256 MB\)"):
        p5core.resume(p5core.open_run(tmp_path / "large"), registry)


TOO_LARGE = (
    "model.width=1000000000", "model.max_length=1000000000", "model.encoders=[]", "stages.0.epochs=1000000000",
    "stages.0.token_budget=1000000000", "evaluate.resamples=1000000000", "evaluate.memory=1000000000",
    "stages.0.optimiser.accumulate=1000000000", "seed=99999999999999999999", "evaluate.candidates=1000000000",
)  # fmt: skip


@pytest.mark.parametrize("option", TOO_LARGE)
def test_sizes_have_bounds(option: str) -> None:
    with pytest.raises(ConfigError, match=option.partition("=")[0].replace(".", r"\.")):
        experiment(option)


def test_a_run_without_a_sign_of_life_is_marked(whole: p5core.Run, tmp_path: Path) -> None:
    run = p5core.Run(Path(shutil.copytree(whole.path, tmp_path / "runs" / "silent")))
    (run.path / "manifest.json").unlink()
    for minutes, said in ((3, ", no sign of life for 3 minutes"), (0, "")):
        run.write_status(
            Status(
                state=RunState.RUNNING, pid=os.getpid(), born=born(os.getpid()),
                heartbeat=datetime.now(UTC) - timedelta(minutes=minutes),
            )
        )  # fmt: skip
        for command in (["runs", "list", "--runs", str(run.path.parent)], ["runs", "show", str(run.path)]):
            shown = CliRunner(env={"COLUMNS": "200"}).invoke(build(load_plugins()), command).output
            assert f"running{said}" in shown
            assert ("no sign of life" in shown) is bool(said)


def test_what_dead_processes_were_making_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = hidden_path(tmp_path / "own")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 2**22 + 1)
        dead = [hidden_path(tmp_path / "file.json"), hidden_path(tmp_path / "run")]
        patch.setattr(folders, "HOST", "elsewhere")
        other = hidden_path(tmp_path / "other")
    before = hidden_path(tmp_path / "before")  # of a process that had this number before, as after a restart
    before.mkdir()
    os.utime(before, (1, 1))
    dead[1].mkdir()
    kept = [own, other, tmp_path / ".mine.p5-notes", tmp_path / ".git"]
    for path in (dead[0], dead[1] / "weights", *kept):
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    if not can_exchange:
        monkeypatch.setattr(folders, "_exchanged", lambda one, other: False)
        with monkeypatch.context() as patch:
            rename = Path.rename
            patch.setattr(Path, "rename", lambda path, target: 1 / 0 if path == new else rename(path, target))
            with pytest.raises(ZeroDivisionError):
                replace_folder(new, old)
            assert (old / "name").read_text() == "old"
    replace_folder(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (old / "name").read_text() == "new"


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("file", b"old")]
