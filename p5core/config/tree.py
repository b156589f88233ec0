"""The editor of experiment trees: nested tables and lists of plain values, as TOML holds them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from p5core.errors import ConfigError

__all__ = ["Steps", "get_value", "override", "parse_toml", "parse_value", "set_value", "steps_of", "to_toml"]

Steps = tuple[str | int, ...]
"""A place in a tree, such as ("stages", 0, "epochs")."""


def steps_of(key: str) -> Steps:
    """The place that a dotted key such as "stages.0.epochs" names."""
    return tuple(int(step) if step.isdecimal() else step for step in key.split("."))


def get_value(tree: Any, steps: Steps, default: Any = None) -> Any:
    """The value at a place; `default` where there is none."""
    for step in steps:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return default
    return tree


def set_value(tree: Mapping[str, Any], steps: Steps, value: Any) -> dict[str, Any]:
    """A copy of a tree with another value at a place; None removes it. Missing tables and lists are made.

    A list may grow by one. Raises ConfigError for a place beyond the end of a list or below a plain value.
    """
    changed: dict[str, Any] = _set(tree, steps, value)
    return changed


def _set(node: Any, steps: Steps, value: Any) -> Any:
    if not steps:
        return value
    head, rest = steps[0], steps[1:]
    if isinstance(node, list) or (node is None and isinstance(head, int)):
        return _set_in_list(node or [], head, rest, value)
    if node is not None and not isinstance(node, Mapping):
        raise ConfigError(f"'{head}' lies below a plain value.")
    table = dict(node or {})
    inner = _set(table.get(str(head)), rest, value)
    if inner is None:
        table.pop(str(head), None)
        return table
    return {**table, str(head): inner}


def _set_in_list(node: list[Any], head: str | int, rest: Steps, value: Any) -> list[Any]:
    if not isinstance(head, int) or head > len(node):
        raise ConfigError(f"'{head}' is no place in a list of {len(node)}.")
    inner = _set(node[head] if head < len(node) else None, rest, value)
    return [*node[:head], *([] if inner is None else [inner]), *node[head + 1 :]]


def override(tree: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """Apply one `a.b.0.c=value`; the value is read as TOML, or as text when it is not valid TOML.

    Raises ConfigError for an assignment without a key or to a place that cannot be.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {assignment}: expected key=value, such as model.width=128.")
    try:
        value = parse_value(text.strip())
    except tomllib.TOMLDecodeError:
        value = text.strip()
    try:
        return set_value(tree, steps_of(key.strip()), value)
    except ConfigError as error:
        raise ConfigError(f"--set {assignment}: {error}") from None


def parse_value(text: str) -> Any:
    """One TOML value; raises tomllib.TOMLDecodeError."""
    return tomllib.loads(f"value = {text}")["value"]


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tree of a TOML document; raises ConfigError with the place of a fault."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{where} is not valid TOML: it is nested too deeply.") from None


def to_toml(tree: Mapping[str, Any]) -> str:
    """A tree as a TOML document, short lists of plain values in one line."""
    text = tomli_w.dumps(tree)
    return re.sub(r"\[\n((?:    [^\[\]{}\n]*,\n)+)\]", lambda found: _one_line(found[1]), text)


def _one_line(lines: str) -> str:
    joined = " ".join(line.strip() for line in lines.splitlines()).rstrip(",")
    return f"[{joined}]" if len(joined) < 100 else f"[\n{lines}]"
