"""What the system refuses is a sentence with the path and a remedy, and what it asks for is heard everywhere."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry

DATA = "user,item\n" + "".join(f"{user},{item}\n" for user in range(30) for item in range(user, user + 6))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def p5(registry: Registry, *arguments: object) -> Result:
    return CliRunner().invoke(build(registry), [str(one) for one in arguments])


def is_a_sentence(result: Result) -> None:
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert isinstance(result.exception, SystemExit)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text(DATA)
    path = tmp_path / "log.toml"
    path.write_text(
        f'[data]\nname = "table"\npath = "{tmp_path}/log.csv"\n[prepare]\nmin_item_events = 1\n'
        "[model]\nwidth = 4\n[[stages]]\nepochs = 1\n"
    )
    return path


def test_runs_below_a_file(registry: Registry, experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = p5(registry, "run", experiment, "--runs", tmp_path / "file")
    is_a_sentence(found)
    assert "file" in found.output
    assert "A file lies where a folder is needed" in found.output or "exists" in found.output


def test_a_folder_that_cannot_be_made(registry: Registry, experiment: Path) -> None:
    found = p5(registry, "run", experiment, "--runs", "/proc/nowhere")
    is_a_sentence(found)
    assert "/proc/nowhere" in found.output


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ESTALE, errno.EIO, errno.EDQUOT])
def test_every_fault_of_the_system_names_the_path(
    number: int, registry: Registry, experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr(os, "fsync", refuse)
    found = p5(registry, "run", experiment, "--runs", tmp_path / "runs")
    is_a_sentence(found)
    assert os.strerror(number) in found.output
    assert str(tmp_path / "x") in found.output
    assert not list((tmp_path / "runs").glob("*")), "no half of a run is left"


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = (
        f"import os, sys; os.rmdir({str(gone)!r}); sys.argv[1:] = ['init', 'x.csv']; "
        "from p5core.cli import main; main()"
    )
    found = subprocess.run([sys.executable, "-c", command], cwd=gone, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert found.stderr.startswith("Error: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_asks_to_stop_unwinds_a_command(number: signal.Signals, registry: Registry, tmp_path: Path) -> None:
    group = build(registry)
    mark = tmp_path / "temporary"

    @group.command("hold")
    def hold() -> None:
        mark.touch()
        try:
            os.kill(os.getpid(), number)
        finally:
            mark.unlink()
        click.echo("never said")

    found = CliRunner().invoke(group, ["hold"])
    assert found.exit_code == 130
    assert found.output.strip() == "Stopped."
    assert not mark.exists()
