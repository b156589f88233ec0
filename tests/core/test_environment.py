"""What the system refuses is a sentence with the path and a remedy, and what it asks for is heard everywhere."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
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


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ESTALE, errno.EIO, errno.EDQUOT, errno.EFBIG]
)
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


def test_a_fault_of_writing_names_the_file(
    registry: Registry, experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as the system does: without a path

    monkeypatch.setattr(os, "fsync", refuse)
    said = p5(registry, "run", experiment, "--runs", tmp_path / "runs")
    is_a_sentence(said)
    assert re.search(rf"No space left on device: {tmp_path}/runs/\S+\. Free some space and try again", said.output)


def test_a_limit_on_the_size_of_files_is_named(experiment: Path, tmp_path: Path) -> None:
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)); "
    said = in_a_process(limited, "run", str(experiment), "--runs", str(tmp_path / "runs"))
    assert said.returncode == 1
    assert "File too large" in said.stderr
    assert "A limit on the size of files was met (ulimit -f)" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*")), "no half of a run is left"


def in_a_process(before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `p5` in a process of its own, after some lines of Python."""
    code = f"{before}\nimport sys; sys.argv[1:] = {list(arguments)!r}; from p5core.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_query_of_the_database_that_is_interrupted_stops_the_command(registry: Registry) -> None:
    group = build(registry)

    @group.command("ask")
    def ask() -> None:
        import duckdb

        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            duckdb.execute("SELECT sum(hash(a.range, b.range)) FROM range(1000000) a, range(1000) b").fetchone()
        finally:
            timer.cancel()

    said = CliRunner().invoke(group, ["ask"])
    assert said.exit_code == 130
    assert said.output.strip() == "Stopped."


def test_a_signal_at_the_very_end_shows_no_traceback() -> None:
    at_exit = "import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    said = in_a_process(at_exit, "--version")
    assert said.returncode == -signal.SIGINT
    assert said.stdout.startswith("p5, version")
    assert said.stderr == ""


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
