"""Every option of the experiment and of every part at its extremes; those that are accepted are run for a while.

    python extremes.py FOLDER [--every K] [--first N]

prints one JSON object a value: the option, the value, and how the run ended.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from forks import LOG, begin, called, import_everything, judged
from pydantic import BaseModel
from pydantic.fields import FieldInfo

SECONDS = 4
PATIENCE = 60
FREE_MEMORY = 2**31
DATA_MEMORY = 8 * 2**30

EXPERIMENT = """
[data]
name = "table"
path = "log.csv"
rating = "stars"
items = "items.csv"
[model]
width = 8
max_length = 8
backbone = { name = "gru" }
[[stages]]
epochs = 2
[evaluate]
resamples = 5
"""

RATED = "\n".join(f"{line},{'stars' if nth == 0 else nth % 5 + 1}" for nth, line in enumerate(LOG.splitlines()))
ITEMS = "item,genre,price,sound\n" + "".join(
    f"i{item},g{item % 4},{item}.5,{item % 3} {item % 5} 1\n" for item in range(23)
)

NUMBERS = (-1, 0, 1, 2, 2**31, 2**63, 10**30, -(10**30), 1e-300, 1e300, 0.5)
TEXTS = ("", " ", "x", "\n", "[red]", "../../x", "é" * 300)
OTHERS: tuple[Any, ...] = (True, [], ["x"], {}, {"a": 1})

NEEDED = {
    "categories": {"columns": ["genre"]}, "numbers": {"columns": ["price"]}, "text": {"columns": ["genre"]},
    "vectors": {"column": "sound"},
}  # fmt: skip
BESIDE = {"bayesian_fm": ["model.backbone={ name = 'mf' }", "model.width=64"]}
"""Settings without which a part is refused."""

SLOTS = {
    "backbone": "model.backbone", "loss": "stages.0.tasks.0.loss", "split": "split", "scorer": "model.blend.0",
    "encoder": "model.encoders.0", "task": "stages.0.tasks.0", "metric": "evaluate.metrics.0",
}  # fmt: skip


def main() -> None:
    """Try all values, or every K-th."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    import_everything()
    asked.folder.mkdir(parents=True)
    for name, text in (("e.toml", EXPERIMENT), ("log.csv", RATED), ("items.csv", ITEMS)):
        (asked.folder / name).write_text(text)
    for settings in [*cases()][asked.first :: asked.every]:
        print(json.dumps({"settings": settings, "end": tried(asked.folder, settings)}), flush=True)


def cases() -> Iterator[list[str]]:
    """The `--set` values of each case."""
    from p5core.config.experiment import Experiment
    from p5core.plugins.discovery import load_plugins

    yield from of_model(Experiment, "", [])
    for section in ("prepare", "model", "probe", "evaluate"):
        yield from of_model(Experiment.model_fields[section].annotation, f"{section}.", [])
    stage = get_args(Experiment.model_fields["stages"].annotation)[0]
    yield from of_model(stage, "stages.0.", [])
    yield from of_model(stage.model_fields["optimiser"].annotation, "stages.0.optimiser.", [])
    registry = load_plugins()
    for kind, slot in SLOTS.items():
        for name, info in registry.parts(kind).items():
            part = {"name": name, **NEEDED.get(name, {})}
            place, _, number = slot.rpartition(".")
            chosen = f"{place}=[{toml(part)}]" if number == "0" else f"{slot}={toml(part)}"
            beside = BESIDE.get(name, [])
            yield [*beside, chosen]
            for option, field in info.part.Config.model_fields.items():
                for value in values(field):
                    changed = toml({**part, option: value})
                    yield [*beside, f"{place}=[{changed}]" if number == "0" else f"{slot}={changed}"]


def of_model(model: Any, prefix: str, before: list[str]) -> Iterator[list[str]]:
    """Cases of the plain options of a section."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if not is_section and key not in ("data", "stages", "notes", "trackers"):
            yield from ([*before, f"{prefix}{key}={toml(value)}"] for value in values(field))


def values(field: FieldInfo) -> list[Any]:
    """Extremes of one option: its bounds, what lies beyond, and values of other types."""
    bounds: list[Any] = []
    for limit in field.metadata:
        for kind in ("ge", "gt", "le", "lt"):
            if isinstance(limit, getattr(annotated_types, kind.title())):
                bound = getattr(limit, kind)
                bounds += [bound, bound + 1, bound - 1] if isinstance(bound, int) else [bound, bound * 0.999]
    chosen = [*get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    return [*dict.fromkeys([*bounds, *chosen, *NUMBERS, *TEXTS]), *OTHERS]


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool)) else repr(value)


def tried(folder: Path, settings: list[str]) -> str:
    """Run the experiment with these settings until it ends or was asked to stop: how it ended."""
    output = folder / "output.txt"
    pid = begin(folder, output, lambda: run(settings))
    deadline = time.monotonic() + PATIENCE
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        time.sleep(0.02)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hang"
    shutil.rmtree(folder / "runs", ignore_errors=True)
    return judged(os.waitstatus_to_exitcode(ended[1]), output.read_text(errors="replace"))


def run(settings: list[str]) -> int:
    """The exit code of `p5 run`, which is asked to stop after some seconds and has little memory."""
    from p5core.training.engine import Engine

    resource.setrlimit(resource.RLIMIT_DATA, (DATA_MEMORY, DATA_MEMORY))
    Engine.free_memory = lambda _self: FREE_MEMORY  # type: ignore[method-assign]
    timer = threading.Timer(SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    arguments = [word for setting in settings for word in ("--set", setting)]
    return called(["run", "e.toml", "--name", "r", *arguments])


if __name__ == "__main__":
    main()
