"""The promises of every preset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from p5core.config.document import parse_experiment
from p5core.config.tree import parse_toml
from p5core.contracts.preset import Preset
from p5core.data.dataset import Dataset
from p5core.data.vocabulary import Vocabulary
from p5core.fitting.experiment_data import check_experiment
from p5core.testing.engine import WorldLoader, kit_registry

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]


def writes_an_experiment(subject: Subject) -> None:
    """`sections` is TOML without [data]; with a data section it is an experiment of installed parts."""
    preset: Preset = subject.build()
    for dataset in (None, _dataset(subject)):
        tree = parse_toml(preset.sections(dataset), f"preset {subject.part.name}")
        assert "data" not in tree, "sections() writes [data], which is not the preset's to say."
        experiment = parse_experiment({**tree, "data": {"name": WorldLoader.name}})
        check_experiment(experiment, kit_registry(subject))


def _dataset(subject: Subject) -> Dataset:
    world = subject.world
    users = pd.DataFrame({"user": range(world.events.n_users)})
    return Dataset(world.events, Vocabulary.of(users["user"].to_numpy()), world.catalogue, users, has_clock=True)


CHECKS: tuple[Check, ...] = (writes_an_experiment,)
