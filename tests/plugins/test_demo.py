"""`p5 demo` is one process's, and goes on where it was stopped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import SMALL

import p5core
from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.system.files import write_json
from p5core.system.processes import born
from p5core.training import loop
from p5plugins.cli import demo
from p5plugins.scorers.popularity import Popularity


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with the small experiment in the place of MovieLens."""
    monkeypatch.setattr(demo, "DEMO", SMALL)


def p5_demo(runs: Path) -> Result:
    return CliRunner().invoke(build(load_plugins()), ["demo", "--runs", str(runs)])


def stopped(runs: Path) -> Result:
    """A demo that is stopped when its baselines are fitted."""

    def stop(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popularity, "fit", stop)
        return p5_demo(runs)


def test_a_stopped_demo_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = stopped(tmp_path)
    assert result.exit_code == 130
    assert not (tmp_path / "demo").exists()
    monkeypatch.setattr(loop._Loop, "train_step", None)  # nothing is trained again
    result = p5_demo(tmp_path)
    assert result.exit_code == 0, result.output
    assert "For user 1" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert p5core.open_run(tmp_path / "demo").state() == "done"


def test_a_finished_demo_that_was_not_put_in_its_place_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert p5_demo(tmp_path).exit_code == 0
    (tmp_path / ".demo").mkdir()
    (tmp_path / "demo").rename(tmp_path / ".demo" / "demo")
    monkeypatch.setattr(loop._Loop, "train_step", None)
    result = p5_demo(tmp_path)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_damaged_demo_and_that_of_another_experiment_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    run = tmp_path / ".demo" / "demo"
    (run / "experiment.toml").write_text("damaged")
    assert p5_demo(tmp_path).exit_code == 0
    assert p5core.open_run(tmp_path / "demo").state() == "done"
    monkeypatch.setattr(demo, "DEMO", SMALL.replace("epochs = 2", "epochs = 1"))
    assert p5_demo(tmp_path / "copy").exit_code == 0
    assert p5core.open_run(tmp_path / "copy" / "demo").experiment().stages[0].epochs == 1


def test_a_second_demo_at_once_is_told(tmp_path: Path) -> None:
    (tmp_path / ".demo").mkdir()
    write_json(tmp_path / ".demo" / "process.json", {"pid": os.getppid(), "born": born(os.getppid())})
    result = p5_demo(tmp_path)
    assert result.exit_code == 1
    assert f"is in use by another process (pid {os.getppid()})" in result.output
    assert not (tmp_path / ".demo" / "demo").exists()
