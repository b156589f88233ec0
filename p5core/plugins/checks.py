"""Contract checks of parts, run when their kind is first used."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, get_args

import click

from p5core.config.base import Config
from p5core.plugins.kinds import Kind

__all__ = ["command_fault", "part_faults"]

NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = ("auto",)
LOSS_KINDS = ("ranking", "value", "probability")
GRAPH_NAMES = ("history", "user", "candidates", "k", "items", "scores")
"""Names of the inputs and outputs of an exported model."""


def part_faults(part: Any, kind: Kind, contract: type[Any]) -> list[str]:
    """One sentence for each promise of its contract that a part breaks."""
    if not (isinstance(part, type) and issubclass(part, contract)):
        return [f"{kind.hook} returned {part!r}, which is no subclass of {contract.__module__}.{contract.__name__}."]
    where = f"{kind.hook} returned {part.__qualname__}"
    faults = (*_common(part), *_signatures(part, contract), *OF_KIND.get(kind.name, lambda _: ())(part))
    return [f"{where}, {fault}" for fault in faults]


def _common(part: type[Any]) -> Iterator[str]:
    name = getattr(part, "name", None)
    if not isinstance(name, str):
        yield "which has no `name`."
    elif not NAME.fullmatch(name) or name in RESERVED:
        yield f"whose name {name!r} is not allowed. Use lower-case letters, digits and '_', a letter first."
    config = part.Config
    if not (isinstance(config, type) and issubclass(config, Config)):
        yield "whose `Config` is no subclass of p5core.Config."
    elif not config.model_config.get("frozen") or config.model_config.get("extra") != "forbid":
        yield "whose `Config` is not frozen, or accepts unknown options. Keep the `model_config` of p5core.Config."
    missing = sorted(getattr(part, "__abstractmethods__", ()))
    if inspect.isabstract(part):
        yield f"which does not define {', '.join(f'`{name}`' for name in missing)}."


def _signatures(part: type[Any], contract: type[Any]) -> Iterator[str]:
    """Faults of methods that do not take the arguments of their contract."""
    for name in ("__init__", *sorted(getattr(contract, "__abstractmethods__", ()))):
        promised, own = getattr(contract, name), getattr(part, name, None)
        if own is promised or not (inspect.isroutine(promised) and inspect.isroutine(own)):
            continue
        expected, actual = inspect.signature(promised), inspect.signature(own)
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments = [parameter for parameter in expected.parameters.values() if parameter.kind in plain]
        try:
            actual.bind(*arguments)
        except TypeError:
            names = ", ".join(parameter.name for parameter in arguments)
            yield f"whose `{name}{actual}` does not take the arguments ({names})."


def _backbone(part: type[Any]) -> Iterator[str]:
    if not isinstance(getattr(part, "causal", None), bool):
        yield "which does not say whether it is `causal`: True or False."
    if not isinstance(part.uses_history, bool):
        yield f"whose `uses_history` is {part.uses_history!r}. Allowed: True, False."
    if not isinstance(part.reads_order, bool):
        yield f"whose `reads_order` is {part.reads_order!r}. Allowed: True, False."


def _metric(part: type[Any]) -> Iterator[str]:
    from p5core.contracts.metric import AtK, Metric, Needs

    needs = getattr(part, "needs", None)
    if needs not in get_args(Needs):
        yield f"whose `needs` is {needs!r}. Allowed: {', '.join(get_args(Needs))}."
    if needs == "lists" and part.depth is Metric.depth and not issubclass(part.Config, AtK):
        yield "which reads lists and does not say how long. Define the property `depth`, or take AtK as Config."


def _loss(part: type[Any]) -> Iterator[str]:
    from p5core.contracts.loss import ProbabilityLoss, RankingLoss, ValueLoss

    if not issubclass(part, (RankingLoss, ValueLoss, ProbabilityLoss)):
        yield "which is no RankingLoss, ValueLoss or ProbabilityLoss of p5core.contracts.loss."


def _task(part: type[Any]) -> Iterator[str]:
    from p5core.contracts.task import Output

    metrics = getattr(part, "metrics", None)
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, str) for metric in metrics):
        yield 'which names no `metrics`, such as ("ndcg@10",); the last one steers early stopping.'
    if part.loss_kind not in LOSS_KINDS:
        yield f"whose `loss_kind` is {part.loss_kind!r}. Allowed: {', '.join(LOSS_KINDS)}."
    outputs = part.outputs
    if not isinstance(outputs, Mapping) or not all(isinstance(output, Output) for output in outputs.values()):
        yield "whose `outputs` is no mapping from names to p5core.contracts.task.Output."
    elif any(not output.field for output in outputs.values() if output.kind != "ranking"):
        yield "an output of which names no field of the events to compare it with."
    else:
        taken = ", ".join(GRAPH_NAMES)
        for name, output in outputs.items():
            if not NAME.fullmatch(name) or (name in GRAPH_NAMES and output.kind != "ranking"):
                yield f"whose output is called {name!r}. Allowed: lower-case letters, digits, '_'; not {taken}."


def _encoder(part: type[Any]) -> Iterator[str]:
    from p5core.contracts.encoder import EntityKind

    encodes = part.encodes
    if not isinstance(encodes, tuple) or not encodes or not set(encodes) <= set(get_args(EntityKind)):
        yield f"whose `encodes` is {encodes!r}. Give a tuple of {' and '.join(map(repr, get_args(EntityKind)))}."


def _scorer(part: type[Any]) -> Iterator[str]:
    from p5core.contracts.scorer import Scorer

    if (part.state is Scorer.state) != (part.restore is Scorer.restore):
        yield "which defines one of `state` and `restore`. Define both, or neither."


OF_KIND: Mapping[str, Callable[[type[Any]], Iterator[str]]] = {
    "backbone": _backbone,
    "encoder": _encoder,
    "loss": _loss,
    "metric": _metric,
    "scorer": _scorer,
    "task": _task,
}


def command_fault(command: Any, taken: Collection[str]) -> str | None:
    """The fault of a command of a plugin; None if it is usable."""
    if not isinstance(command, click.Command):
        return f"p5_commands returned {command!r}, which is no click.Command."
    if command.name in taken:
        return f"The command '{command.name}' is already taken. Give it another name."
    return None
