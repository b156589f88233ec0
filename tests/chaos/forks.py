"""Commands that meet a fault before their n-th file operation, each in a forked process, and what follows.

    python forks.py SCENARIO FAULT FOLDER [--every K] [--first N]

prints one JSON object a point: its number, the operation, what the command said, and how it ended: "same" as without
the fault, or a sentence. Faults are the signals "kill" and "term", "ENOSPC", "EIO" and "ESTALE", which any operation
raises, and "rename", which is EBUSY raised by renaming.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")

TINY = """
[data]
name = "synthetic"
n_users = 40
n_items = 30
n_events = 500
n_clusters = 5

[model]
width = 8
max_length = 8
backbone = { name = "gru" }
blend = [{ name = "cooccurrence", n_neighbours = 10 }]

[[stages]]
name = "first"
epochs = 2
data = { name = "synthetic", n_users = 30, n_items = 30, n_events = 300, n_clusters = 5, seed = 2 }

[[stages]]
name = "second"
epochs = 2

[evaluate]
resamples = 5
"""

LOG = "user,item,time\n" + "".join(
    f"u{user},i{(user * 7 + step * step) % 23},{1700000000 + user * 1000 + step}\n"
    for user in range(30)
    for step in range(8)
)
NEW = "user,item,time\n" + "".join(f"u{user},i{(user + 5) % 26},{1800000000 + user}\n" for user in range(35))

OF_LOG = TINY.split("[model]")[0].replace('name = "synthetic"', 'name = "table"\npath = "log.csv"').split("n_users")[0]
MODEL = TINY.split("[model]")[1].split("[[stages]]")[0]
PLAIN = f"{OF_LOG}\n[model]{MODEL}[[stages]]\nepochs = 1\n[evaluate]\nresamples = 5\n"


@dataclass(frozen=True)
class Scenario:
    """A command, what is there before it, what a user does after a fault, and what must be the same in the end."""

    command: Sequence[str]
    again: Callable[[Path], Sequence[str]]
    """the command that goes on, given the folder"""
    outcome: Callable[[Path], Mapping[str, str]]
    """what must be the same"""
    files: Mapping[str, str]
    before: Sequence[Sequence[str]] = ()
    """commands that make what is there before"""


def main() -> None:
    """Run a scenario as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("fault", choices=["kill", "term", "ENOSPC", "EIO", "ESTALE", "rename"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    import_everything()
    scenario, base = SCENARIOS[asked.scenario], asked.folder / "base"
    base.mkdir(parents=True)
    for name, text in scenario.files.items():
        (base / name).write_text(text)
    for nth, command in enumerate(scenario.before):
        code, said, _ = run_forked(base, command, f"before-{nth}")
        assert code == 0, said
    whole = shutil.copytree(base, asked.folder / "whole")
    code, said, operations = run_forked(whole, scenario.command, "whole")
    assert code == 0, said
    expected = scenario.outcome(whole)
    assert expected, "nothing to compare"
    wanted = [nth for nth, name in enumerate(operations) if asked.fault != "rename" or name.startswith("os.rename")]
    print(json.dumps({"points": len(wanted)}), flush=True)
    for point in wanted[asked.first :: asked.every]:
        folder = shutil.copytree(base, asked.folder / f"point-{point}")
        first = run_forked(folder, scenario.command, "first", (point, asked.fault))
        again = scenario.again(folder)
        code, said, _ = run_forked(folder, again, "again")
        end = end_of(code, said, scenario, folder, expected, cleans=again[0] != "verify")
        found = {"first": judged(first[0], first[1]), "again": " ".join(again), "end": end}
        print(json.dumps({"point": point, "operation": operations[point], **found}), flush=True)
        shutil.rmtree(folder)


def import_everything() -> None:
    """Import once what every forked process needs; nothing is computed before the forks, which copy no threads."""
    import duckdb
    import onnxruntime
    import optuna
    import torch

    import p5core.tuning.tune
    import p5core.workflows.update
    import p5export.export
    from p5core.plugins.discovery import load_plugins

    torch.set_num_threads(1)
    load_plugins()
    del duckdb, onnxruntime, optuna, p5core, p5export


def run_forked(
    folder: Path, command: Sequence[str], name: str, fault: tuple[int, str] | None = None
) -> tuple[int, str, list[str]]:
    """Run `p5 command` inside a folder in a forked process: exit code (negative: signal), output, file operations."""
    output, seen = folder.parent / f"{name}.out", folder.parent / f"{name}.operations"
    seen.unlink(missing_ok=True)
    _, status = os.waitpid(begin(folder, output, lambda: called(command, Faults(folder, seen, fault))), 0)
    operations = seen.read_text().splitlines() if seen.exists() else []
    return os.waitstatus_to_exitcode(status), output.read_text(errors="replace"), operations


def begin(folder: Path, output: Path, act: Callable[[], int]) -> int:
    """Start a forked process in a folder that ends with the exit code `act()`; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(folder)
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        code = act()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def called(command: Sequence[str], faults: Faults | None = None) -> int:
    """The exit code of `p5 command`, with faults from now on."""
    from p5core.cli import build
    from p5core.plugins.discovery import load_plugins

    group = build(load_plugins())
    if faults is not None:
        sys.addaudithook(faults.see)
    try:
        group(list(command), prog_name="p5")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        if faults is not None:
            faults.write()
    return 0


class Faults:
    """Counts the operations that change files below a folder, and makes one of them fail."""

    def __init__(self, folder: Path, seen: Path, fault: tuple[int, str] | None) -> None:
        self.folder = str(folder.resolve())
        self.seen, self.fault = seen, fault
        self.operations: list[str] = []
        self.is_active = True

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event (PEP 578)."""
        if not self.is_active or not self.changes(event, arguments):
            return
        self.operations.append(f"{event} {self.place(arguments[0])}")
        if self.fault is not None and len(self.operations) - 1 == self.fault[0]:
            self.strike(str(self.fault[1]), arguments[0])

    def changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            is_path = isinstance(path, (str, bytes, os.PathLike))
            return is_path and bool((flags or 0) & WRITING) and self.place(path) is not None
        return event in CHANGES and self.place(arguments[0]) is not None

    def place(self, path: Any) -> str | None:
        """A path relative to the folder, without the number of the process; None outside."""
        text = os.path.abspath(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""
        inside = text.startswith(self.folder + os.sep)
        return text[len(self.folder) + 1 :].replace(f"-{os.getpid()}", "-PID") if inside else None

    def strike(self, fault: str, path: Any) -> None:
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            number = errno.EBUSY if fault == "rename" else getattr(errno, fault)
            raise OSError(number, os.strerror(number), os.fsdecode(path))

    def write(self) -> None:
        self.is_active = False
        self.seen.write_text("\n".join(self.operations))


def judged(code: int, said: str) -> str:
    """What a command said in the end: ok, stopped, killed, a sentence, or a traceback with its last lines."""
    if "Traceback (most recent call last)" in said:
        return "traceback: " + " | ".join(said.strip().splitlines()[-4:])
    if code < 0:
        return f"signal {-code}"
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return {0: "ok", 130: f"stopped: {last}"}.get(
        code, f"sentence: {last}" if "Error: " in said else f"code {code}: {last}"
    )


def end_of(code: int, said: str, scenario: Scenario, folder: Path, expected: Mapping[str, str], *, cleans: bool) -> str:
    """ "same", a sentence, or what is wrong; `cleans` if the command removes what dead processes left."""
    found = judged(code, said)
    is_finished = "is finished; there is nothing to resume" in said
    if found != "ok" and not is_finished:
        return found
    got = scenario.outcome(folder)
    differing = sorted(name for name in {*got, *expected} if got.get(name) != expected.get(name))
    leftovers = [str(path.relative_to(folder)) for path in folder.rglob(".*.p5-*")]
    if differing:
        return f"different: {differing[:4]}"
    return f"leftovers: {leftovers[:3]}" if leftovers and cleans else "same"


def hashes(folder: Path, *patterns: str) -> dict[str, str]:
    """File → hash, for the files that match."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def of_run(name: str) -> Callable[[Path], dict[str, str]]:
    """What must be the same of a run: all that is sealed, times apart; a run that is not whole counts as nothing."""

    def outcome(folder: Path) -> dict[str, str]:
        from p5core.runs.run import Run

        run = Run(folder / "runs" / name)
        run.verify()
        found = hashes(
            run.path, "*.safetensors", "blend.json", "experiment.toml", "report.json", "data/**/*", "features/*"
        )
        metrics = json.loads((run.path / "metrics.json").read_text())
        return {**found, "metrics": json.dumps({**metrics, "train_seconds": 0}), "state": str(run.state())}

    return outcome


def of_export(place: str) -> Callable[[Path], dict[str, str]]:
    """What must be the same of an export; it must be whole."""

    def outcome(folder: Path) -> dict[str, str]:
        from p5export.validation.verify import verify

        verify(folder / place)
        return hashes(folder / place, "*.onnx", "golden.json", "README.md")

    return outcome


def of_search(folder: Path) -> dict[str, str]:
    """What must be the same of a search: the best options and the trials, times apart."""
    import csv

    with (folder / "runs" / "tiny-tune" / "trials.csv").open() as stream:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(stream)]
    return {**hashes(folder / "runs" / "tiny-tune", "best.toml", "space.json"), "trials": json.dumps(rows)}


def of_scores(folder: Path) -> dict[str, str]:
    """What must be the same of a file of recommendations."""
    return hashes(folder, "out.parquet")


def resumed(folder: Path) -> list[str]:
    """`p5 run` again, with --resume where there is a run."""
    is_there = (folder / "runs" / "r" / "run.json").exists()
    return ["run", "tiny.toml", "--name", "r", *(["--resume"] if is_there else [])]


def updated(folder: Path) -> list[str]:
    """`p5 update` again, or the export that it had not made."""
    is_there = (folder / "runs" / "u" / "run.json").exists()
    return ["export", "runs/u"] if is_there else ["update", "runs/r", "new.csv", "--name", "u"]


def of_update(folder: Path) -> dict[str, str]:
    """What must be the same of an updated run and its export."""
    return {**of_run("u")(folder), **of_export("runs/u/export")(folder)}


def refitted(folder: Path) -> list[str]:
    """`p5 refit` again, with --resume where there is a run."""
    is_there = (folder / "runs" / "f" / "run.json").exists()
    return [*REFIT, *(["--resume"] if is_there else [])]


TRAIN = ["run", "tiny.toml", "--name", "r"]
REFIT = ["refit", "runs/r", "--name", "f"]
UPDATE = ["update", "runs/r", "new.csv", "--name", "u"]
TUNE = ["tune", "tiny.toml", "--trials", "3", "--only", "learning_rate"]
SCORE = ["score", "export", "log.csv", "out.parquet"]
OWN_DATA, LOGGED = {"tiny.toml": TINY}, {"tiny.toml": PLAIN, "log.csv": LOG, "new.csv": NEW}

SCENARIOS = {
    "run": Scenario(TRAIN, resumed, of_run("r"), OWN_DATA),
    "update": Scenario(UPDATE, updated, of_update, LOGGED, [TRAIN]),
    "refit": Scenario(REFIT, refitted, of_run("f"), LOGGED, [TRAIN]),
    "export": Scenario(
        ["export", "runs/r"], lambda folder: ["export", "runs/r"], of_export("runs/r/export"), LOGGED, [TRAIN]
    ),
    "replace": Scenario(
        ["export", "runs/r", "-o", "export"], lambda folder: ["verify", "export"], of_export("export"), LOGGED,
        [TRAIN, ["export", "runs/r", "-o", "export"]],
    ),
    "tune": Scenario(TUNE, lambda folder: TUNE, of_search, {"tiny.toml": PLAIN, "log.csv": LOG}),
    "score": Scenario(SCORE, lambda folder: SCORE, of_scores, LOGGED, [TRAIN, ["export", "runs/r", "-o", "export"]]),
}  # fmt: skip


if __name__ == "__main__":
    main()
