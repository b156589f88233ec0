"""The search space, as declared by the options of an experiment's parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p5core.config.base import Choices, Config, Tunable, Value
from p5core.config.experiment import Experiment
from p5core.config.parts import parts_of
from p5core.errors import ConfigError, did_you_mean
from p5core.plugins.registry import Registry

__all__ = ["Option", "named_keys", "narrow", "search_space", "short_names"]

TUNED = ("encoder", "backbone", "task", "loss")
"""Kinds of parts whose options are tuned; those of scorers are chosen by themselves."""


@dataclass(frozen=True)
class Option:
    """One option of an experiment and its range."""

    key: str
    """as in `--set`, such as "model.backbone.dropout" """

    own: Value
    """value in the experiment; always part of the range"""

    range: Tunable | Choices

    @property
    def is_log(self) -> bool:
        """True for a logarithmic range."""
        return isinstance(self.range, Tunable) and self.range.log

    def suggest(self, trial: Any) -> Value:
        """Draw a value by an Optuna trial."""
        if isinstance(self.range, Choices):
            chosen: Value = trial.suggest_categorical(self.key, self.range.values)
            return chosen
        draw = trial.suggest_int if isinstance(self.own, int) else trial.suggest_float
        number: Value = draw(self.key, self.range.low, self.range.high, log=self.range.log)
        return number

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        if isinstance(self.range, Choices):
            return {"own": self.own, "choices": list(self.range.values)}
        return {"own": self.own, **vars(self.range)}


def search_space(experiment: Experiment, registry: Registry) -> list[Option]:
    """Every declared option of the parts that an experiment with its losses decided uses, in the order of the file.

    A model that starts from a run keeps its options: the weights were made for them.
    """
    starts_from_run = bool(experiment.stages[0].from_run)
    options = [_widened(option) for option in _declared_options(experiment, registry)]
    return [option for option in options if option and not (starts_from_run and option.key.startswith("model."))]


def named_keys(experiment: Experiment, registry: Registry, name: str) -> list[str]:
    """Every option that a name stands for, as `p5 tune --only` reads it; raises ConfigError if there is none."""
    keys = [option.key for option in _declared_options(experiment, registry)]
    _refuse_unknown(name, keys, f"probe.candidates names '{name}'")
    return [key for key in keys if _is_named(key, name)]


def _declared_options(experiment: Experiment, registry: Registry) -> list[Option]:
    return [option for place, config in _configs(experiment, registry) for option in _declared(place, config)]


def _configs(experiment: Experiment, registry: Registry) -> Iterator[tuple[str, Config]]:
    """The sections and parts that may be tuned: those of the model and of the stages."""
    sections: dict[str, Config] = {"model": experiment.model}
    sections |= {f"stages.{nth}": stage for nth, stage in enumerate(experiment.stages)}
    for name, section in sections.items():
        yield name, section
        for place in parts_of(experiment):
            if place.key.startswith(f"{name}.") and place.kind in TUNED:
                yield place.key, registry.choose(place.kind, place.spec, place.key).config


def _declared(place: str, config: Config) -> Iterator[Option]:
    for name, field in type(config).model_fields.items():
        key, own = f"{place}.{field.alias or name}", getattr(config, name)
        if isinstance(own, Config):
            yield from _declared(key, own)
        for mark in field.metadata:
            if isinstance(mark, (Tunable, Choices)) and isinstance(own, Value):
                yield Option(key, own, mark)


def _widened(option: Option) -> Option | None:
    """The range extended by the option's own value; None if it is 0 and the range logarithmic."""
    own, span = option.own, option.range
    if isinstance(span, Choices):
        return option if own in span.values else replace(option, range=Choices((*span.values, own)))
    if isinstance(own, str) or (span.log and own <= 0):
        return None
    return replace(option, range=Tunable(min(span.low, own), max(span.high, own), span.log))


def narrow(options: Sequence[Option], only: Sequence[str]) -> list[Option]:
    """Those that `only` names: whole keys, or beginnings or ends of them; raises ConfigError for an unknown one."""
    keys = [option.key for option in options]
    for name in only:
        _refuse_unknown(name, keys, f"--only {name}")
    return [option for option in options if not only or any(_is_named(option.key, name) for name in only)]


def _refuse_unknown(name: str, keys: Sequence[str], where: str) -> None:
    if not any(_is_named(key, name) for key in keys):
        near = did_you_mean(name, [*keys, *(key.rpartition(".")[2] for key in keys)])
        raise ConfigError(f"{where}: no such option to tune.{near} There are: {', '.join(keys) or 'none'}.")


def _is_named(key: str, name: str) -> bool:
    return f".{key}.".startswith(f".{name}.") or f".{key}.".endswith(f".{name}.")


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Key → as few of its last steps as tell it from the others."""
    return {key: _shortest(key, [other for other in keys if other != key]) for key in keys}


def _shortest(key: str, others: Sequence[str]) -> str:
    steps = key.split(".")
    ends = [".".join(steps[nth:]) for nth in reversed(range(len(steps)))]
    return next(end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others))
