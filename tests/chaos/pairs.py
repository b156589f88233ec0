"""Pairs of commands that run at the same time in one folder, each in a forked process, and what is there afterwards.

    python pairs.py FOLDER

prints one JSON object a pair: what each command said, and what does not hold afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from forks import LOGGED, PLAIN, import_everything, judged, of_export, of_run, of_search, run_forked

RESUME = ["run", "tiny.toml", "--name", "half", "--resume"]
NEW = ["run", "tiny.toml", "--name", "new"]
TUNE = ["tune", "tiny.toml", "--trials", "3", "--only", "learning_rate"]
EXPORT = ["export", "runs/r", "-o", "export"]
UPDATE = ["update", "runs/r", "new.csv", "--name", "u"]
SHOW, LIST = ["runs", "show", "runs/half"], ["runs", "list"]
RECOMMEND, EVALUATE = ["recommend", "runs/r", "--history", "i3"], ["evaluate", "runs/r"]
VERIFY, SCORE = ["verify", "export"], ["score", "export", "log.csv", "out.parquet"]
START = ["run", "tiny.toml", "--name", "other", "--set", 'stages.0.from="r"']

PAIRS = [
    (RESUME, RESUME), (NEW, NEW), (TUNE, TUNE), (EXPORT, EXPORT), (UPDATE, UPDATE), (SCORE, SCORE), (RESUME, SHOW),
    (RESUME, LIST), (RESUME, ["evaluate", "runs/half"]), (RESUME, ["export", "runs/half", "-o", "export"]),
    (NEW, RESUME), (NEW, TUNE), (EXPORT, VERIFY), (EXPORT, SCORE), (EXPORT, UPDATE), (UPDATE, RECOMMEND),
    (UPDATE, EVALUATE), (START, UPDATE), (START, RESUME), (TUNE, RESUME), (NEW, LIST), (RESUME, NEW),
]  # fmt: skip


def main() -> None:
    """Try all pairs."""
    place = Path(sys.argv[1])
    import_everything()
    base = prepared(place / "base")
    whole = shutil.copytree(base, place / "whole")
    for command in (RESUME, TUNE):
        assert run_forked(whole, command, "whole")[0] == 0
    expected = {"half": of_run("half")(whole), "search": of_search(whole)}
    for nth, (first, second) in enumerate(PAIRS):
        folder = shutil.copytree(base, place / f"pair-{nth}")
        said = at_once(folder, first, second)
        print(json.dumps({"pair": [first, second], "said": said, "broken": [*broken(folder, expected)]}), flush=True)
        shutil.rmtree(folder)


def prepared(folder: Path) -> Path:
    """A folder with a finished run, its export, and a run that was killed."""
    folder.mkdir(parents=True)
    for name, text in LOGGED.items():
        (folder / name).write_text(text if name != "tiny.toml" else PLAIN)
    for command in (["run", "tiny.toml", "--name", "r"], EXPORT):
        code, said, _ = run_forked(folder, command, "before")
        assert code == 0, said
    _, _, operations = run_forked(folder, ["run", "tiny.toml", "--name", "half"], "whole")
    shutil.rmtree(folder / "runs" / "half")
    begun = next(nth for nth, name in enumerate(operations) if "last.safetensors" in name)
    run_forked(folder, ["run", "tiny.toml", "--name", "half"], "half", (begun, "kill"))
    return folder


def at_once(folder: Path, first: list[str], second: list[str]) -> list[str]:
    """What two commands say that run at the same time."""
    with forked(lambda: run_forked(folder, second, "second")) as wait:
        code, said, _ = run_forked(folder, first, "first")
        wait()
    other = (folder.parent / "second.out").read_text(errors="replace")
    is_good = "Error" not in other and "Traceback" not in other
    return [judged(code, said), "ok" if is_good else judged(1, other)]


@contextmanager
def forked(act: Callable[[], object]) -> Iterator[Callable[[], object]]:
    """Do something in another process meanwhile; gives a function that waits for it."""
    pid = os.fork()
    if not pid:
        try:
            act()
        finally:
            os._exit(0)
    yield lambda: os.waitpid(pid, 0)


def broken(folder: Path, expected: dict[str, dict[str, str]]) -> Iterator[str]:
    """What does not hold after both commands have ended."""
    of_run("r")(folder)
    of_export("export")(folder)
    if run_forked(folder, RESUME, "after")[0] != 0 and "is finished" not in (folder.parent / "after.out").read_text():
        yield "half cannot be finished"
    if of_run("half")(folder) != expected["half"]:
        yield "half ended otherwise"
    if run_forked(folder, TUNE, "after")[0] != 0 or of_search(folder) != expected["search"]:
        yield "the search ended otherwise"
    for name in ("new", "u", "other"):
        if (folder / "runs" / name).exists():
            of_run(name)(folder)


if __name__ == "__main__":
    main()
