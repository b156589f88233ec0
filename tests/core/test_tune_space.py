"""The options that can be searched."""

from __future__ import annotations

from typing import Annotated

import pytest
from support import experiment_of
from torch import Tensor

from p5core.config.base import Choices, Config, Tunable, parse_config
from p5core.config.document import with_values
from p5core.config.experiment import Experiment
from p5core.contracts.loss import Candidates, RankingLoss
from p5core.errors import ConfigError
from p5core.fitting.search_space import Option, narrow, search_space, short_names
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry

SMALL = """
[data]
name = "synthetic"

[model]
width = 8
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item", loss = { name = "cross_entropy" } }]
"""


def small(*assignments: str) -> Experiment:
    return experiment_of(SMALL, *assignments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def space(registry: Registry, *assignments: str) -> dict[str, Option]:
    return {one.key: one for one in search_space(small(*assignments), registry)}


def test_the_parts_of_the_file_make_up_the_space(registry: Registry) -> None:
    assert list(space(registry)) == [
        "model.width",
        "model.dropout",
        "model.backbone.n_layers",
        "model.backbone.n_heads",
        "model.backbone.dropout",
        "stages.0.optimiser.learning_rate",
        "stages.0.optimiser.weight_decay",
        "stages.0.tasks.0.loss.temperature",
    ]
    other = space(registry, "stages.0.tasks.0.loss={name='gbce'}", "model.backbone={name='gru'}")
    assert {"stages.0.tasks.0.loss.t", "model.backbone.attention"} < set(other)
    assert "model.backbone.n_heads" not in other


def test_the_own_value_is_in_the_range(registry: Registry) -> None:
    options = space(registry, "stages.0.optimiser.learning_rate=0.5", "stages.0.optimiser.weight_decay=0")
    assert options["model.width"].range == Choices((32, 64, 128, 256, 8))
    assert options["stages.0.optimiser.learning_rate"].range == Tunable(2e-4, 0.5, log=True)
    assert "stages.0.optimiser.weight_decay" not in options  # no factor leads from 0 to anywhere


def test_a_model_that_starts_from_a_run_keeps_its_options(registry: Registry) -> None:
    assert all(key.startswith("stages.") for key in space(registry, "stages.0.from=first"))


class Inner(Config):
    """Options of options."""

    slope: Annotated[float, Tunable(1, 2)] = 1.5
    """A slope."""


class OwnConfig(Config):
    """Options of a part of somebody else."""

    kind: Annotated[str, Choices(("a", "b"))] = "a"
    """A kind."""

    inner: Inner = Inner()
    """More options."""


class Own(RankingLoss):
    """A loss of somebody else."""

    name = "own"
    Config = OwnConfig

    def __call__(self, states: Tensor, targets: Tensor, items: Candidates) -> Tensor:
        return states.sum()


class OwnPlugin:
    """A plugin of somebody else."""

    @hookimpl
    def p5_losses(self) -> list[type[RankingLoss]]:
        return [Own]


def test_parts_of_plugins_declare_options_as_well() -> None:
    options = space(load_plugins([("own", OwnPlugin())]), "stages.0.tasks.0.loss={name='own', kind='c'}")
    assert options["stages.0.tasks.0.loss.kind"].range == Choices(("a", "b", "c"))
    assert options["stages.0.tasks.0.loss.inner.slope"].range == Tunable(1, 2)


def test_every_end_of_a_range_is_allowed(registry: Registry) -> None:
    checked = 0
    for info in [info for kind in KINDS for info in registry.parts(kind).values()]:
        for name, field in info.part.Config.model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, (Tunable, Choices)):
                    for value in mark.values if isinstance(mark, Choices) else (mark.low, mark.high):
                        parse_config(info.part.Config, {name: value}, info.part.name)
                        checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        (["model.dropout"], ["model.dropout"]),
        (["dropout"], ["model.dropout", "model.backbone.dropout"]),
        (
            ["model.backbone", "temperature"],
            ["backbone.n_layers", "backbone.n_heads", "backbone.dropout", "temperature"],
        ),
    ],
)
def test_only_narrows_the_space(registry: Registry, only: list[str], kept: list[str]) -> None:
    keys = [one.key for one in narrow(search_space(small(), registry), only)]
    assert len(keys) == len(kept)
    assert all(key.endswith(end) for key, end in zip(keys, kept, strict=True))


def test_an_unknown_option_is_refused(registry: Registry) -> None:
    with pytest.raises(
        ConfigError, match=r"--only droput: no such option to tune. Did you mean 'dropout'.*model.width"
    ):
        narrow(search_space(small(), registry), ["droput"])


def test_names_are_as_short_as_they_can_be() -> None:
    keys = ["model.dropout", "model.backbone.dropout", "model.width"]
    assert list(short_names(keys).values()) == ["model.dropout", "backbone.dropout", "width"]


def test_values_are_put_into_the_experiment() -> None:
    changed = with_values(small(), {"model.width": 32, "stages.0.optimiser.learning_rate": 1e-05})
    assert changed == small("model.width=32", "stages.0.optimiser.learning_rate=0.00001")
