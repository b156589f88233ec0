"""Modules of a network that a stage does not train, or trains at a learning rate of their own."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from p5core.config.experiment import StageConfig
from p5core.errors import ConfigError, did_you_mean

__all__ = ["apply_freeze", "check_modules", "learning_rate_factors"]


def check_modules(network: nn.Module, stage: StageConfig, where: str) -> None:
    """Raise ConfigError for modules that a network does not have, and where nothing would be trained."""
    parameters = [name for name, _ in network.named_parameters()]
    for option, names in (("freeze", stage.freeze), ("learning_rates", stage.learning_rates)):
        for name in names:
            if not any(_is_in(parameter, name) for parameter in parameters):
                modules = sorted({part for parameter in parameters for part in _modules_of(parameter)})
                raise ConfigError(
                    f"{where}.{option}: the network has no module '{name}' with weights.{did_you_mean(name, modules)} "
                    f"Its modules: {', '.join(modules)}."
                )
    if all(_longest(parameter, stage.freeze) for parameter in parameters):
        raise ConfigError(f"{where}.freeze leaves nothing to train. Leave out a module.")


def _modules_of(parameter: str) -> list[str]:
    """The modules that a parameter lies in, two levels and the places of lists."""
    steps = parameter.split(".")[:-1]
    depths = [depth for depth in range(1, len(steps) + 1) if depth <= 2 or steps[depth - 1].isdecimal()]
    return [".".join(steps[:depth]) for depth in depths if depth <= 3 and steps[:depth][-1:] != ["encoders"]]


def _is_in(parameter: str, module: str) -> bool:
    return parameter == module or parameter.startswith(f"{module}.")


def _longest(parameter: str, modules: Iterable[str]) -> str | None:
    """The innermost of the modules that holds a parameter."""
    return max((module for module in modules if _is_in(parameter, module)), key=len, default=None)


def apply_freeze(network: nn.Module, stage: StageConfig) -> None:
    """Let gradients reach the parameters that a stage trains, and no others."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_longest(name, stage.freeze) is None)


def learning_rate_factors(network: nn.Module, stage: StageConfig) -> dict[nn.Parameter, float]:
    """Factor of the learning rate of each parameter that has one; the innermost module decides."""
    factors = {}
    for name, parameter in network.named_parameters():
        module = _longest(name, stage.learning_rates)
        if module is not None:
            factors[parameter] = stage.learning_rates[module]
    return factors
