"""Option blocks as forms: what each field is, what it shows, and what a person's input means."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from p5core.data.split import ByUser, LeaveOneOut, RandomRatio, SplitConfig, TimeWindows
from p5core.errors import ConfigError

__all__ = ["SPLITS", "Field", "Steps", "at", "fields_of", "has_paths", "put"]

SPLITS: Mapping[str, type[SplitConfig]] = {
    "leave_one_out": LeaveOneOut,
    "time": TimeWindows,
    "by_user": ByUser,
    "random": RandomRatio,
}
"""Name → options of each split."""

Steps = tuple[str | int, ...]
"""Where in an experiment: ("stages", 0, "epochs")."""

Kind = Literal["bool", "int", "float", "choice", "list", "text", "toml"]

PLAIN: Mapping[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text", Path: "text"}


@dataclass(frozen=True)
class Field:
    """One option."""

    steps: Steps
    help: str
    kind: Kind
    default: Any
    is_optional: bool
    """whether None is allowed"""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """The option as the experiment calls it."""
        return str(self.steps[-1])

    def show(self, tree: Mapping[str, Any]) -> Any:
        """What the form shows for it."""
        value = at(tree, self.steps, self.default)
        if self.kind == "list":
            return list(value or [])
        if self.kind == "choice":
            return "" if value is None else _word(value)
        if self.kind == "toml":
            return "" if value is None or value == [] else _toml(value)
        if self.kind == "text":
            return "" if value is None else str(value)
        return value

    def apply(self, tree: Mapping[str, Any], shown: Any) -> dict[str, Any]:
        """The experiment with what a person typed; an emptied field is left out of it.

        Raises ConfigError for text that is no TOML value.
        """
        return put(tree, self.steps, self._read(shown))

    def _read(self, shown: Any) -> Any:
        if shown is None or (shown == "" and self.kind != "text"):
            return None
        if self.kind == "text":
            return None if shown == "" and self.default in (None, "") else shown
        if self.kind == "choice":
            return {"true": True, "false": False}.get(shown, shown)
        if self.kind == "int" and float(shown).is_integer():
            return int(shown)
        return _parsed(self.name, shown) if self.kind == "toml" else shown


def fields_of(config: type[BaseModel], place: Steps = (), leave: Collection[str] = ()) -> list[Field]:
    """The options of a block but for those to `leave` and those that no file can hold."""
    return [
        _field((*place, info.alias or name), info)
        for name, info in config.model_fields.items()
        if name not in leave and not info.exclude
    ]


def _field(steps: Steps, info: FieldInfo) -> Field:
    inner, is_optional = _without_none(info.annotation)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    low, high = _bound(info, "ge", "gt"), _bound(info, "le", "lt")
    words = " ".join((info.description or "").split())
    if get_origin(inner) is Literal:
        choices = tuple(_word(one) for one in get_args(inner))
        return Field(steps, words, "choice", default, is_optional, ("", *choices) if is_optional else choices)
    if inner is bool and is_optional:
        return Field(steps, words, "choice", default, is_optional, ("", "true", "false"))
    if get_origin(inner) is list and get_args(inner)[0] is str:
        return Field(steps, words, "list", default, is_optional)
    if get_origin(inner) is list and get_origin(get_args(inner)[0]) is Literal:
        return Field(steps, words, "list", default, is_optional, tuple(map(str, get_args(get_args(inner)[0]))))
    return Field(steps, words, PLAIN.get(inner, "toml"), default, is_optional, (), low, high)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without `| None` and without what is annotated to it."""
    if hasattr(annotation, "__metadata__"):
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    members = [one for one in get_args(annotation) if one is not type(None)]
    return (_without_none(members[0])[0] if len(members) == 1 else annotation), len(members) < len(get_args(annotation))


def has_paths(info: FieldInfo) -> bool:
    """Whether an option names files."""

    def within(annotation: Any) -> bool:
        is_path = isinstance(annotation, type) and issubclass(annotation, Path)
        return is_path or any(within(one) for one in get_args(annotation))

    return within(info.annotation)


def _bound(info: FieldInfo, *names: str) -> float | None:
    found = [getattr(one, name) for one in info.metadata for name in names if getattr(one, name, None) is not None]
    return float(found[0]) if found and isinstance(found[0], (int, float)) else None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        return _toml(value.model_dump(exclude_none=True))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _parsed(name: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(
            f"{name}: {text!r} is no TOML value; texts stand in quotation marks and lists in brackets."
        ) from None


def at(tree: Any, steps: Steps, default: Any = None) -> Any:
    """What stands at a place, or the default where nothing does."""
    for step in steps:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return default
    return tree


def put(tree: Mapping[str, Any], steps: Steps, value: Any) -> dict[str, Any]:
    """A copy with another value at a place; None takes it away. What leads there is made where it is missing."""
    changed: dict[str, Any] = _put(tree, steps, value)
    return changed


def _put(node: Any, steps: Steps, value: Any) -> Any:
    if not steps:
        return value
    head, rest = steps[0], steps[1:]
    if isinstance(head, int):
        inner = _put(at(node, (head,)), rest, value)
        return [*(node or [])[:head], *([] if inner is None else [inner]), *(node or [])[head + 1 :]]
    known = dict(node or {})
    inner = _put(known.get(head), rest, value)
    if inner is None:
        known.pop(head, None)
        return known
    return {**known, head: inner}
