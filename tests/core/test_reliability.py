"""Runs lose nothing that was trained, trust no damaged file, and say beforehand what will not do."""

from __future__ import annotations

import itertools
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
    """A display that ends the process after a number of steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def show(self, event: RunEvent) -> None:
        if isinstance(event, StepEvent) and event.step == self.step:
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
    monkeypatch.setattr(train, "choose_blend", broken)
    with pytest.raises(RunError, match=r"blend.safetensors was changed since P5 wrote it"):
        p5core.resume(damaged, registry)
    p5core.resume(run, registry)
    assert (run.path / "blend.json").read_bytes() == (whole.path / "blend.json").read_bytes()
    assert run.metrics().test == whole.metrics().test


def test_a_nearly_full_disk_is_named_before_training(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    for free, is_named in ((20_000, True), (10**12, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: usage(10**12, 0, free))
        plan = train.plan_run(experiment(), tmp_path / "deep" / "runs", registry)
        assert any("Free some space, or choose another folder" in one for one in plan.data.sentences) is is_named


@pytest.mark.parametrize("option", ["model.width=16384", "model.backbone.n_layers=256"])
def test_a_network_beyond_memory_is_refused_before_it_is_made(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(train.Engine, "free_memory", lambda _self: 2**20)
    with pytest.raises(TrainingError, match=r"There is not enough memory. Lower model.width, model.max_length"):
        p5core.run(experiment(option), tmp_path, "large", registry)
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
