"""Files of runs, unfinished runs, exports and searches are damaged: no command trusts them, and none shows a traceback.

A sample of the damages here; all of them by `make chaos`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos.forks import LOGGED, PLAIN
from click.testing import CliRunner, Result
from support import Interrupter

import p5core
from p5core.cli import build
from p5core.config.document import load_experiment
from p5core.errors import P5Error
from p5core.plugins.discovery import load_plugins
from p5export.runtime import OnnxRecommender

IS_WHOLE = bool(os.environ.get("P5_WHOLE_CHAOS"))
FLIPS_A_FILE = 40
WRONG = (b"null", b"[]", b"{}", b'"x"', b"1e999", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00", b"\x00" * 64)
"""Contents of another type or nested deeply, and bytes that are no text."""


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


@dataclass(frozen=True)
class Damage:
    """A file and what becomes of it."""

    file: str
    name: str
    content: bytes | None
    """None: it is removed"""
    is_folder: bool = False
    """a folder lies in its place"""


def damages(folder: Path, seed: int) -> Iterator[Damage]:
    """Damages of every file: bits flipped, cut, emptied, removed, replaced, and values of JSON of other types."""
    draws = random.Random(seed)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content, name = path.read_bytes(), path.relative_to(folder).as_posix()
        for _ in range(FLIPS_A_FILE if content else 0):
            place, bit = draws.randrange(len(content)), 1 << draws.randrange(8)
            changed = bytes([*content[:place], content[place] ^ bit, *content[place + 1 :]])
            yield Damage(name, f"bit {bit} of byte {place}", changed)
        cut = draws.randrange(1, max(2, len(content)))
        yield Damage(name, f"cut at {cut}", content[:cut])
        yield Damage(name, "emptied", b"")
        yield Damage(name, "removed", None)
        yield Damage(name, "a folder", None, is_folder=True)
        for wrong in WRONG if IS_WHOLE else draws.sample(WRONG, 3):
            yield Damage(name, f"replaced by {wrong[:9]!r}", wrong)
        if path.suffix == ".json":
            yield from _of_values(name, json.loads(content), draws)


def _of_values(name: str, document: object, draws: random.Random) -> Iterator[Damage]:
    keys = list(document) if isinstance(document, dict) else []
    for key in keys if IS_WHOLE else draws.sample(keys, min(3, len(keys))):
        assert isinstance(document, dict)
        for value in (None, -1, "x", [], {"a": 1}):
            if value != document[key]:
                yield Damage(name, f"{key} = {value!r}", json.dumps({**document, key: value}).encode())
        yield Damage(name, f"without {key}", json.dumps({one: document[one] for one in keys if one != key}).encode())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and its export, an unfinished one, and a search."""
    folder = tmp_path_factory.mktemp("place")
    for name, text in LOGGED.items():
        (folder / name).write_text(text)
    (folder / "tiny.toml").write_text(PLAIN.replace("log.csv", f"{folder}/log.csv"))
    runs = folder / "runs"
    for command in (
        ["run", folder / "tiny.toml", "--name", "done", "--runs", runs],
        ["export", runs / "done", "-o", folder / "export"],
        ["tune", folder / "tiny.toml", "--trials", 2, "--only", "learning_rate", "--runs", runs],
    ):
        result = p5(*command)
        assert result.exit_code == 0, result.output
    with pytest.raises(KeyboardInterrupt):
        p5core.run(load_experiment(folder / "tiny.toml"), runs, "half", display=Interrupter(runs / "half"))
    return folder


def is_told(result: Result) -> bool:
    """True for success or one sentence."""
    is_plain = result.exception is None or isinstance(result.exception, SystemExit)
    return is_plain and "Traceback" not in result.output and (result.exit_code == 0 or "Error: " in result.output)


def tried(place: Path, part: str, seed: int, look: Callable[[Path, Damage], str]) -> int:
    """Look at each damage of a part; fails with the list of what was found."""
    faults, n = [], 0
    for damage in damages(place / part, seed):
        copy = Path(shutil.copytree(place / part, place / "damaged" / part))
        victim = copy / damage.file
        if damage.content is None:
            victim.unlink()
        else:
            victim.write_bytes(damage.content)
        if damage.is_folder:
            victim.mkdir()
        if found := look(copy, damage):
            faults.append((damage.file, damage.name, found))
        shutil.rmtree(place / "damaged")
        n += 1
    assert faults == []
    return n


FREE = ("status.json", "log.txt", "events.jsonl", "lock")
"""Files that report alone: what is in them decides nothing."""


def test_a_damaged_run_is_never_used(place: Path) -> None:
    def look(copy: Path, damage: Damage) -> str:
        recommended = p5("recommend", copy, "--history", "i3")
        shown = [p5("runs", "show", copy), p5("runs", "list", "--runs", copy.parent)]
        if not all(is_told(result) for result in (recommended, *shown)):
            return "traceback"
        is_used = recommended.exit_code == 0 and damage.file not in FREE
        return "used" if is_used else ""

    assert tried(place, "runs/done", 1, look) > 850


def test_a_damaged_unfinished_run_never_ends_otherwise(place: Path) -> None:
    expected = p5core.open_run(place / "runs" / "done").metrics().test

    def look(copy: Path, damage: Damage) -> str:
        result = p5("run", place / "tiny.toml", "--name", "half", "--runs", copy.parent, "--resume")
        if not is_told(result):
            return f"traceback: {result.exception!r}"
        return "other" if result.exit_code == 0 and p5core.Run(copy).metrics().test != expected else ""

    assert tried(place, "runs/half", 2, look) > 680


def test_a_damaged_export_is_never_verified_or_used(place: Path) -> None:
    def look(copy: Path, damage: Damage) -> str:
        result = p5("verify", copy)
        if not is_told(result):
            return f"traceback: {result.exception!r}"
        if result.exit_code == 0 and not _is_equal(copy, place / "export", damage.file):
            return "verified"
        if damage.file == "p5.json":
            try:
                OnnxRecommender(copy).recommend(["i3"])
            except P5Error:
                return ""
            return "" if _is_equal(copy, place / "export", damage.file) else "used"
        return ""

    assert tried(place, "export", 3, look) > 290


def _is_equal(copy: Path, whole: Path, name: str) -> bool:
    """True if a JSON document says the same, such as after a flip within white space."""
    try:
        return bool(json.loads((copy / name).read_bytes()) == json.loads((whole / name).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return False


def test_a_damaged_search_goes_on_rightly_or_not_at_all(place: Path) -> None:
    best = (place / "runs" / "tiny-tune" / "best.toml").read_text()

    def look(copy: Path, damage: Damage) -> str:
        command: Sequence[object] = ("tune", place / "tiny.toml", "--trials", 2, "--only", "learning_rate")
        result = p5(*command, "--runs", copy.parent)
        if not is_told(result):
            return f"traceback: {result.exception!r}"
        return "another best" if result.exit_code == 0 and (copy / "best.toml").read_text() != best else ""

    assert tried(place, "runs/tiny-tune", 4, look) > 320
