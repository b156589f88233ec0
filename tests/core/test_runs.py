"""Run folders: made once, trusted only whole, found again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.errors import ConfigError, RunError
from p5core.runs.create import create_run, list_runs, open_run, replace_run
from p5core.runs.documents import FORMAT, Metrics, Status
from p5core.runs.names import check_run_name, free_name, to_run_name
from p5core.runs.run import SEALED, Run
from p5core.system.files import read_json, sha256, write_bytes, write_json


def experiment() -> Experiment:
    return parse_experiment({"data": {"name": "synthetic"}, "seed": 7})


def sealed(path: Path) -> Run:
    """A run folder with something in each file."""
    run = create_run(path, experiment(), {"n_read": 3}, None)
    for name in ("weights.safetensors", "per_user.safetensors", "data/target/events.safetensors"):
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_bytes(name.encode())
    write_json(run.path / "metrics.json", {"test": {"model": {"hr@10": 0.5}}})
    write_json(run.path / "status.json", {"state": "done", "pid": 1})
    run.seal()
    return run


def test_a_new_run_knows_what_it_is(tmp_path: Path) -> None:
    run = create_run(tmp_path / "deep" / "one", experiment(), {"n_read": 3}, (1, 5))
    assert run.name == "one"
    assert run.experiment() == experiment()
    assert run.fold() == (1, 5)
    assert run.status() == Status()
    assert run.state() == "unknown"
    assert run.checkpoints.is_dir()
    assert read_json(run.path / "report.json") == {"n_read": 3}
    about = read_json(run.path / "run.json")
    assert about["format"] == FORMAT
    assert set(about) == {"format", "p5", "created", "fold", "updated_from", "source", "refit", "parts"}


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match=r"exists. Choose another --name, go on with --resume, or delete it first"):
        create_run(tmp_path, experiment(), {}, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_whole_run_is_trusted(tmp_path: Path) -> None:
    run = sealed(tmp_path / "one")
    run.verify()
    assert open_run(run.path) == run
    files = read_json(run.path / "manifest.json")["files"]
    assert set(files) == {*SEALED, "data/target/events.safetensors"}
    assert files["metrics.json"] == sha256(run.path / "metrics.json")
    (run.path / "log.txt").write_text("what people add does not matter")
    run.verify()


@pytest.mark.parametrize("name", [*SEALED, "data/target/events.safetensors"])
def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, name: str) -> None:
    run = sealed(tmp_path / "one")
    content = bytearray((run.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run.path / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name} was changed since P5 wrote it: its hash differs. Restore it or run"):
        run.verify()


@pytest.mark.parametrize("metrics", [None, [], {"test": {"model": {"hr@10": 0.9}}}, {"test": None}])
def test_changed_figures_are_not_shown(tmp_path: Path, metrics: object) -> None:
    run = sealed(tmp_path / "one")
    assert run.metrics() == Metrics(test={"model": {"hr@10": 0.5}})
    write_json(run.path / "metrics.json", metrics)
    with pytest.raises(RunError, match=r"metrics.json was changed since P5 wrote it: its hash differs"):
        run.metrics()


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[]", b'{"format": 1, "filez": {}}', b"3"])
def test_a_damaged_manifest_is_noticed(tmp_path: Path, content: bytes) -> None:
    run = sealed(tmp_path / "one")
    (run.path / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest.json cannot be read; the file is damaged"):
        run.verify()


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    run = sealed(tmp_path / "one")
    manifest = read_json(run.path / "manifest.json")
    write_json(run.path / "manifest.json", {**manifest, "format": 99})
    with pytest.raises(
        RunError, match=r"manifest.json has format 99; this version of P5 reads format \d+\. Open it with"
    ):
        run.verify()


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    run = sealed(tmp_path / "one")
    run.weights.unlink()
    with pytest.raises(RunError, match=r"lacks its file weights.safetensors. Restore it from a copy or run again"):
        run.verify()


def test_what_is_not_finished_is_neither_trusted_nor_has_figures(tmp_path: Path) -> None:
    run = create_run(tmp_path / "one", experiment(), {}, None)
    write_json(run.path / "status.json", {"state": "stopped", "pid": os.getpid()})
    with pytest.raises(RunError, match=r"is not finished \(state: stopped\). Finish it with 'p5 run ... --resume'"):
        run.verify()
    with pytest.raises(RunError, match=r"has no metrics yet \(state: stopped\)"):
        run.metrics()


def test_what_is_no_run_or_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run folder: it has no run.json. 'p5 runs list' shows"):
        open_run(tmp_path)
    write_json(tmp_path / "run.json", {"format": FORMAT + 1})
    with pytest.raises(RunError, match=f"has format {FORMAT + 1}; this version of P5 reads format {FORMAT}. Open it"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run.json cannot be read; the file is damaged"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"state": "running", "pid": os.getpid()}, "running"),
        ({"state": "running", "pid": 2**22 + 1}, "crashed"),
        ({"state": "starting", "pid": 2**22 + 1}, "crashed"),
        ({"state": "done", "pid": 2**22 + 1}, "done"),
        ({"state": "failed"}, "failed"),
    ],
)
def test_a_run_without_a_living_process_has_crashed(tmp_path: Path, status: dict[str, object], state: str) -> None:
    write_json(tmp_path / "status.json", status)
    assert Run(tmp_path).state() == state


def test_a_damaged_status_does_not_hide_the_run(tmp_path: Path) -> None:
    run = sealed(tmp_path / "one")
    (run.path / "status.json").write_text("{")
    assert [one.state() for one in list_runs(tmp_path)] == ["done"]
    run.verify()
    (run.path / "manifest.json").unlink()
    assert [one.state() for one in list_runs(tmp_path)] == ["damaged"]


def test_a_whole_manifest_says_that_a_run_is_done_whatever_its_status(tmp_path: Path) -> None:
    run = sealed(tmp_path / "one")
    for status in ({"state": "running", "pid": 2**22 + 1}, {"state": "failed"}, {}):
        write_json(run.path / "status.json", status)
        assert run.state() == "done"


@pytest.mark.parametrize("lost", [*SEALED, "data/target/events.safetensors", None])
def test_a_manifest_that_does_not_list_every_file_is_refused(tmp_path: Path, lost: str | None) -> None:
    run = sealed(tmp_path / "one")
    manifest = read_json(run.path / "manifest.json")
    manifest["files"] = {name: one for name, one in manifest["files"].items() if lost and name != lost}
    write_json(run.path / "manifest.json", manifest)
    with pytest.raises(
        RunError, match=rf"manifest.json does not list {lost or 'data/target/events.safetensors'}; it was"
    ):
        run.verify()


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "/absolute", "a\0", "a\nb", " ", "[red]x", "<b>", ".hidden", "-rf", "x" * 101, "衣" * 34]
)
def test_a_name_that_no_folder_should_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a run"):
        check_run_name(name)


def test_a_file_gives_a_name_that_may_be_one() -> None:
    assert [to_run_name(one) for one in ("my log (1)", "été", "...", "[red]x")] == ["my-log-1", "été", "run", "red-x"]


@pytest.mark.parametrize("text", ["x" * 300, "衣" * 100, "é-" * 100])
def test_long_names_of_any_alphabet_fit_a_file_system(tmp_path: Path, text: str) -> None:
    name = to_run_name(text)
    check_run_name(name)
    assert 97 <= len(name.encode()) <= 100
    assert create_run(tmp_path / name, experiment(), {}, None).path.is_dir()


def test_a_run_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    def fill(run: Run) -> None:
        assert list_runs(tmp_path) == []
        assert not (tmp_path / "one").exists()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        create_run(tmp_path / "one", experiment(), {}, None, fill=fill)
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_writes_a_run(tmp_path: Path) -> None:
    run = create_run(tmp_path / "one", experiment(), {}, None)
    write_json(run.path / "status.json", {"state": "running", "pid": 4711})
    code = (
        "import sys; from pathlib import Path; from p5core.runs.run import Run\n"
        "with Run(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=r"is being written by another process \(pid 4711\). Wait for it"), run.locked():
        pass
    other.kill()
    other.communicate()
    with run.locked():
        pass


@pytest.mark.parametrize(
    "status",
    [
        "null",
        "[]",
        "5",
        '"x"',
        "{",
        '{"state": 5, "share": "x"}',
        '{"state": "running", "pid": []}',
        '{"state": "running", "pid": true}',
        '{"state": "running", "pid": 1e99, "share": NaN, "heartbeat": 5, "eta_seconds": null}',
        '{"state": "running", "pid": ' + "9" * 400 + ', "epoch": ' + "9" * 4_000 + ', "share": ' + "9" * 400 + "}",
        '{"state": "dreaming"}',
        "[" * 100_000,
    ],
)
def test_a_status_of_any_kind_is_read_as_far_as_it_goes(tmp_path: Path, status: str) -> None:
    run = create_run(tmp_path / "one", experiment(), {}, None)
    (run.path / "status.json").write_text(status)
    assert run.state() in ("damaged", "crashed")
    assert run.status() == Status(state=run.status().state)
    assert [one.state() for one in list_runs(tmp_path)] == [run.state()]


def test_runs_are_listed_newest_first_with_folds(tmp_path: Path) -> None:
    for age, name in enumerate(["c", "folds/fold-1", "a"]):
        run = create_run(tmp_path / name, experiment(), {}, None)
        os.utime(run.path / "run.json", (1e9 - age, 1e9 - age))
    (tmp_path / "no run").mkdir()
    assert [str(one.path.relative_to(tmp_path)) for one in list_runs(tmp_path)] == ["c", "folds/fold-1", "a"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_free_name_is_found(tmp_path: Path) -> None:
    for wanted in ("x", "x-2", "x-3"):
        assert free_name(tmp_path, "x") == wanted
        (tmp_path / wanted).mkdir()


def test_only_a_run_folder_is_replaced(tmp_path: Path) -> None:
    old, new = sealed(tmp_path / "old"), sealed(tmp_path / "new")
    (old.path / "log.txt").write_text("old")
    assert replace_run(new.path, old.path) == old
    assert not new.path.exists()
    assert not (old.path / "log.txt").exists()
    old.verify()
    shutil.rmtree(old.path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match=r"is no run folder and is left alone. Move it away and try again"):
        replace_run(sealed(tmp_path / "new").path, tmp_path / "old")
    assert (tmp_path / "old" / "thesis.txt").read_text() == "mine"


def test_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", lambda _number: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    monkeypatch.undo()
    write_json(tmp_path / "json", {"é": [1, None]})
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8")) == {"é": [1, None]}
