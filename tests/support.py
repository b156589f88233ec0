"""Shared by tests: the one small experiment, and short cuts to the parts of P5."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.config.tree import override
from p5core.contracts.split import Split as SplitPart
from p5core.contracts.tracker import RunEvent, ValidationEvent
from p5core.data.dataset import Dataset, Events, Ragged
from p5core.data.holdout import Split, split_by_roles
from p5core.errors import ConfigError
from p5core.runs.run import Run
from p5core.system.files import read_json, write_json

__all__ = [
    "SMALL",
    "Interrupter",
    "change_experiment",
    "events_of",
    "experiment_of",
    "rated",
    "set_blend_weights",
    "split",
]


SMALL = """
[data]
name = "synthetic"
n_users = 60
n_items = 40
n_events = 900
n_clusters = 8

[model]
width = 8
max_length = 12
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item" }]
epochs = 2

[evaluate]
resamples = 10
"""
"""An experiment of seconds."""


def experiment_of(text: str, *assignments: str) -> Experiment:
    """An experiment given as TOML, with `key=value` overrides."""
    tree: dict[str, Any] = tomllib.loads(text)
    for assignment in assignments:
        tree = override(tree, assignment)
    return parse_experiment(tree)


def rated(values: Sequence[float] | npt.NDArray[Any] | None) -> dict[str, npt.NDArray[np.generic]]:
    """Fields of events with these ratings; none for None."""
    return {} if values is None else {"rating": np.array(values, dtype=np.float32)}


def events_of(histories: Sequence[Sequence[int]], ratings: Sequence[float] | None = None) -> Events:
    """Events of users with these items, oldest first."""
    ragged = Ragged.of([list(one) for one in histories])
    return Events(ragged.offsets, ragged.values, np.arange(len(ragged.values)), rated(ratings))


def split(data: Dataset, part: SplitPart, seed: int, fold: tuple[int, int] | None = None) -> Split:
    """Split a data set by a part, as `split_dataset` does by its name."""
    if fold is not None and not 0 <= fold[0] < fold[1] > 1:
        raise ConfigError(f"There is no fold {fold[0]} of {fold[1]}; give two folds or more and count from 0.")
    rng = np.random.default_rng([seed, 1])
    return split_by_roles(data, part.roles(data, rng) if fold is None else part.fold_roles(data, rng, *fold))


def change_experiment(run: Run, old: str, new: str) -> None:
    """Change the experiment of a stopped run, which then trains from the beginning."""
    path = run.path / "experiment.toml"
    path.write_text(path.read_text().replace(old, new))
    shutil.rmtree(run.checkpoints)
    run.checkpoints.mkdir()
    run.record_prepared()


def set_blend_weights(run: Run, *weights: float) -> None:
    """Store other weights of network and scorers in a finished run; its figures stay those of the old ones."""
    path = run.path / "blend.json"
    write_json(path, {**read_json(path), "weights": list(weights)})
    run.seal()


class Interrupter:
    """A display that puts the file `stop` into the run folder at the first validation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def show(self, event: RunEvent) -> None:
        if isinstance(event, ValidationEvent):
            (self.folder / "stop").touch()

    def say(self, text: str) -> None:
        """Sentences do not matter here."""
