"""Jobs: queued, started once, stopped, killed, resumed and deleted, in processes that outlive their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import SMALL, change_experiment

from p5core.config.document import parse_experiment
from p5core.errors import ConfigError, RunError
from p5core.runs.create import create_run
from p5core.runs.job import Job
from p5core.runs.jobs import Jobs
from p5core.runs.run import Run
from p5core.system import processes
from p5core.system.files import read_json, write_json
from p5core.system.processes import born, kill, lives

NOBODY = 2**22 + 1


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def small(epochs: int = 2) -> str:
    return SMALL.replace("epochs = 2", f"epochs = {epochs}")


def pretend(jobs: Jobs, number: int, arguments: list[str], run: str = "", **files: object) -> Job:
    """A job as the files of a folder say."""
    path = jobs.folder / "jobs" / f"{number:06d}"
    path.mkdir(parents=True)
    write_json(path / "job.json", {"arguments": arguments, "run": run, "submitted": "2026-01-01T00:00:00+00:00"})
    for name, content in files.items():
        write_json(path / f"{name}.json", content)
    return Job(path)


ME = {"pid": os.getpid(), "born": born(os.getpid())}
DEAD = {"pid": NOBODY, "born": "1"}


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    (tmp_path / "runs").mkdir()
    return Jobs(tmp_path)


def test_a_run_is_stopped_resumed_and_done(jobs: Jobs) -> None:
    job = jobs.submit(small(epochs=4_000), "one")
    wait(lambda: (run := jobs.find("one")) is not None and Jobs(jobs.folder).state(run) == "running")
    with pytest.raises(RunError, match=r"Run 'one' has a job that is running. Wait until it is over, or stop it first"):
        jobs.delete("one")
    jobs.stop("one")
    wait(lambda: job.state() != "running")
    assert (job.state(), jobs.state(jobs.find("one"))) == ("stopped", "stopped")
    assert "go on with --resume" in job.output()
    change_experiment(Run(jobs.runs / "one"), "epochs = 4000", "epochs = 1")
    again = jobs.resume("one")
    wait(lambda: again.state() != "running")
    assert again.state() == "done", again.output()
    assert jobs.state(jobs.find("one")) == "done"
    with pytest.raises(RunError, match="Run 'one' is done; only a stopped, failed or crashed run can be resumed"):
        jobs.resume("one")
    jobs.delete("one")
    assert not (jobs.runs / "one").exists()
    assert jobs.all() == []


def test_a_job_outlives_its_starter_and_is_killed_by_another(jobs: Jobs) -> None:
    code = "import sys, pathlib, p5core.runs.jobs as j; j.Jobs(pathlib.Path(sys.argv[1])).submit(*sys.argv[2:])"
    subprocess.run([sys.executable, "-c", code, str(jobs.folder), small(epochs=4_000), "two"], check=True)
    job = jobs.of("two")
    assert job is not None
    wait(lambda: (jobs.runs / "two" / "status.json").exists())
    assert job.state() == "running"
    jobs.kill("two")
    wait(lambda: job.state() != "running")
    assert (job.state(), jobs.state(jobs.find("two"))) == ("crashed", "crashed")
    with pytest.raises(RunError, match="No process is known to be that of run 'two'"):
        jobs.kill("two")
    jobs.delete("two")


def test_what_fails_says_why(jobs: Jobs) -> None:
    job = jobs.submit(small().replace("n_layers = 1", "n_layers = 1, n_heads = 3"), "wrong")
    wait(lambda: job.state() != "running")
    assert job.state() == "failed"
    assert "n_heads" in job.output()
    jobs.delete("wrong")
    assert jobs.all() == []


def test_jobs_that_train_wait_for_each_other(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def start(command: list[str], folder: Path, output: Path) -> int:
        started.append(command[4:])
        return os.getpid()

    monkeypatch.setattr("p5core.runs.jobs.start", start)
    first, second = jobs.submit(small(), "a"), jobs.submit(small(), "b")
    export = jobs.submit_command(["export", "runs/x"], "x")
    assert [one.state() for one in (first, second, export)] == ["running", "queued", "running"]
    assert [one[0] for one in started] == ["run", "export"]
    assert started[0] == ["run", str(first.path / "experiment.toml"), "--runs", str(jobs.runs), "--name", "a"]
    Jobs(jobs.folder).advance()
    assert len(started) == 2
    Jobs(jobs.folder, at_once=2).advance()
    assert second.state() == "running"
    third = jobs.submit(small(), "c")
    jobs.stop("c")
    assert not third.path.exists()


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "queued"),
        ({"start": ME}, "running"),
        ({"start": {**ME, "born": "another time"}}, "crashed"),
        ({"start": DEAD}, "crashed"),
        ({"start": DEAD, "end": {"code": 0}}, "done"),
        ({"start": ME, "end": {"code": 130}}, "stopped"),
        ({"start": DEAD, "end": {"code": 1}}, "failed"),
    ],
)
def test_files_tell_the_state(jobs: Jobs, files: dict[str, object], state: str) -> None:
    assert pretend(jobs, 1, ["export", "x"], **files).state() == state


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a" * 101])
def test_odd_names_are_refused(jobs: Jobs, name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no name for a run. Take up to 100 letters"):
        jobs.submit(small(), name)


def test_what_cannot_be_queued(jobs: Jobs) -> None:
    with pytest.raises(ConfigError, match="The experiment is not valid TOML"):
        jobs.submit("[data", "x")
    with pytest.raises(ConfigError, match="experiment: unknown option 'epochs'"):
        jobs.submit("epochs = 2\n[data]\nname = 'synthetic'", "x")
    (jobs.runs / "x").mkdir()
    with pytest.raises(RunError, match=r"There is a run 'x' already. Choose another name"):
        jobs.submit(small(), "x")
    with pytest.raises(ConfigError, match=r"A job cannot do \['ui'\]. Possible: demo, evaluate, export, run, verify"):
        jobs.submit_command(["ui"])
    assert jobs.all() == []


def test_what_is_not_there(jobs: Jobs) -> None:
    with pytest.raises(RunError, match="Run 'x' is not running; there is nothing to stop"):
        jobs.stop("x")
    for operation in (jobs.resume, jobs.clone, jobs.delete):
        with pytest.raises(RunError, match="is no run folder"):
            operation("x")


def test_links_and_other_folders_are_left_alone(jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = create_run(
        tmp_path_factory.mktemp("elsewhere") / "run", parse_experiment({"data": {"name": "a"}}), {}, None
    )
    (jobs.runs / "link").symlink_to(elsewhere.path)
    for name in ("link", f"../../{elsewhere.path.parent.name}/run", str(elsewhere.path)):
        for operation in (jobs.resume, jobs.clone, jobs.delete):
            with pytest.raises(RunError, match="is left alone: it is a link, or does not lie in"):
                operation(name)
    assert elsewhere.path.exists()


def test_jobs_about_no_run_stay(jobs: Jobs) -> None:
    job = pretend(jobs, 1, ["verify", "x"], start=DEAD)
    with pytest.raises(RunError, match="is no run folder"):
        jobs.delete("")
    assert job.path.exists()


def test_a_run_that_somebody_else_started_is_not_deleted(jobs: Jobs) -> None:
    run = create_run(jobs.runs / "x", parse_experiment({"data": {"name": "a"}}), {}, None)
    write_json(run.path / "status.json", {"state": "running", **ME})
    with pytest.raises(RunError, match=r"Run 'x' is running. Stop or kill it first"):
        jobs.delete("x")
    jobs.stop("x")
    assert (run.path / "stop").exists()


def test_only_the_process_itself_is_killed() -> None:
    other = subprocess.Popen(["/bin/sleep", "60"])
    began = born(other.pid)
    assert not kill(other.pid, "another time", signal.SIGKILL)
    assert not kill(other.pid, None, signal.SIGKILL)
    assert lives(other.pid, began)
    assert kill(other.pid, began, signal.SIGKILL)
    wait(lambda: born(other.pid) is None)  # a zombie until it is waited for
    assert Path(f"/proc/{other.pid}").exists()
    assert not kill(other.pid, began, signal.SIGKILL)
    other.wait()


GIVES_WAY = """
import os, subprocess, sys, time
while not os.path.exists("go"):
    time.sleep(0.01)
print(os.nice(0), flush=True)
subprocess.run([sys.executable, "-c", "import os; print(os.nice(0))"])
"""


def test_what_is_started_gives_way(tmp_path: Path) -> None:
    pid = processes.start([sys.executable, "-c", GIVES_WAY], tmp_path, tmp_path / "output.txt")
    (tmp_path / "go").touch()
    wait(lambda: born(pid) is None)
    assert (tmp_path / "output.txt").read_text().split() == [str(max(os.nice(0), processes.NICENESS))] * 2


def test_the_files_of_a_job_name_its_process(jobs: Jobs) -> None:
    job = jobs.submit_command(["verify", "nothing"])
    wait(lambda: job.state() != "running")
    assert (job.state(), job.run) == ("failed", "")
    assert read_json(job.path / "end.json") == {"code": 1}
    assert job.output().startswith("Error: ")


DAMAGES = [
    "", "{", "null", "[]", "5", '{"arguments": []}', '{"arguments": ["run"], "run": 5, "submitted": "x"}', "[" * 99_999,
    '{"arguments": ["run"], "run": "a\\u0000b", "submitted": ""}',
    '{"arguments": ["run"], "run": "../../etc", "submitted": ""}',
    '{"arguments": ["run"], "run": "/etc", "submitted": ""}',
    '{"pid": 1e999, "born": null, "code": 1e999}', '{"pid": -5, "born": 3, "code": "0"}',
    '{"pid": 1' + "0" * 4_000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGES)
def test_one_damaged_job_does_not_stop_the_others(jobs: Jobs, content: str) -> None:
    whole = pretend(jobs, 2, ["export", "x"], "x", start=DEAD, end={"code": 0})
    damaged = jobs.folder / "jobs" / "000001"
    damaged.mkdir(parents=True)
    (damaged / "job.json").write_text(content)
    (jobs.folder / "jobs" / "1x").mkdir()
    assert [job.id for job in jobs.all()] == [whole.id]
    assert jobs.of("x") == whole
    for name in ("end.json", "start.json"):
        (whole.path / name).write_text(content)
        assert whole.state() == "crashed"
        jobs.advance()
    assert not (damaged / "output.txt").exists()
    assert not (whole.path / "output.txt").exists(), "a job that was started is not started again"
