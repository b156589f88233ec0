"""Experiments as TOML documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path, PurePath
from typing import Any

import tomli_w

from p5core.config.base import Value, parse_config
from p5core.config.experiment import Experiment
from p5core.config.tree import override, parse_toml, set_value, steps_of
from p5core.config.upgrade import upgrade
from p5core.errors import ConfigError

__all__ = ["dump_experiment", "experiment_tree", "load_experiment", "parse_experiment", "with_values"]

STORABLE = (str, int, float, date, datetime, time, PurePath, Mapping, list, tuple)
"""Types that a TOML file can hold."""


def load_experiment(path: Path, assignments: Sequence[str] = ()) -> Experiment:
    """Read a TOML file and apply `key=value` overrides; raises ConfigError with the place of a fault."""
    try:
        tree = parse_toml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise ConfigError(f"There is no experiment file {path}. Write one with 'p5 init DATA'.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    for assignment in assignments:
        tree = override(tree, assignment)
    return parse_experiment(tree, path.name)


def parse_experiment(tree: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Check a tree of plain values, former spellings included; raises ConfigError."""
    upgraded, notes = upgrade(tree)
    return parse_config(Experiment, upgraded, where).model_copy(update={"notes": notes})


def dump_experiment(experiment: Experiment) -> str:
    """The TOML text of an experiment, every option spelt out; reading it back gives an equal experiment.

    Options that no file can hold, such as a DataFrame, are left out.
    """
    return tomli_w.dumps(experiment_tree(experiment))


def with_values(experiment: Experiment, values: Mapping[str, Value]) -> Experiment:
    """The experiment with other values of some options, each by its place, such as "model.backbone.dropout"."""
    tree = experiment_tree(experiment)
    for key, value in values.items():
        tree = set_value(tree, steps_of(key), value)
    return parse_experiment(tree)


def experiment_tree(experiment: Experiment) -> dict[str, Any]:
    """An experiment as plain values."""
    tree: dict[str, Any] = _storable(experiment.model_dump(exclude_none=True, by_alias=True))
    return tree


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _storable(inner) for key, inner in value.items() if isinstance(inner, STORABLE)}
    if isinstance(value, (list, tuple)):
        return [_storable(inner) for inner in value if isinstance(inner, STORABLE)]
    return str(value) if isinstance(value, PurePath) else value
