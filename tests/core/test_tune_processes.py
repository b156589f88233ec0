"""Searches of several processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from click.testing import CliRunner
from support import SMALL

from p5core.cli import build
from p5core.plugins.discovery import load_plugins

P5 = (sys.executable, "-c", "from p5core.cli import main; main()")


def test_two_processes_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    options = ["--runs", str(tmp_path), "--only", "temperature", "--processes", "2", "--trials", "3"]
    result = CliRunner().invoke(build(load_plugins()), ["tune", str(file), *options])
    assert result.exit_code == 0, result.output
    assert "Best of 3 trials; trial 0 is the file as it is" in result.output
    assert f"p5 run {tmp_path}/small-tune/best.toml --name small-best" in result.output
    assert len((tmp_path / "small-tune" / "trials.csv").read_text().splitlines()) == 4


def test_helpers_end_with_a_search_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL.replace("epochs = 2", "epochs = 5000"))
    options = ["--runs", str(tmp_path), "--only", "temperature", "--processes", "2", "--trials", "4"]
    with subprocess.Popen([*P5, "tune", str(file), *options], stdout=subprocess.DEVNULL) as search:
        try:
            wait_for(lambda: n_trials(tmp_path / "small-tune") == 2)
            helpers = psutil.Process(search.pid).children(recursive=True)
            assert helpers
        finally:
            search.kill()
        _, living = psutil.wait_procs(helpers, timeout=30)
        assert living == []


def n_trials(folder: Path) -> int:
    """Trials that have begun."""
    return len(list(folder.glob("trials/*")))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
