"""Option blocks as forms: what each field is, what it shows, and what a person's input means."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from p5core.config.tree import Steps, get_value, parse_value, set_value
from p5core.errors import ConfigError

__all__ = ["Field", "fields_of"]

Kind = Literal["bool", "int", "float", "choice", "list", "text", "word", "toml"]

PLAIN: Mapping[str, Kind] = {"boolean": "bool", "integer": "int", "number": "float", "string": "text"}
"""Type in JSON schema → kind of field."""


@dataclass(frozen=True)
class Field:
    """One option."""

    steps: Steps
    help: str
    kind: Kind
    default: Any
    is_optional: bool
    """True if None is allowed"""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """The option as the experiment calls it."""
        return str(self.steps[-1])

    def show(self, tree: Mapping[str, Any]) -> Any:
        """The value shown in the form."""
        value = get_value(tree, self.steps, self.default)
        if self.kind == "list":
            return list(value or [])
        if self.kind == "choice":
            return "" if value is None else _word(value)
        if self.kind == "toml":
            return "" if value is None or value == [] else _toml(value)
        if self.kind in ("text", "word"):
            return "" if value is None else _toml(value) if isinstance(value, list) else str(value)
        return value

    def apply(self, tree: Mapping[str, Any], shown: Any) -> dict[str, Any]:
        """The experiment with what a person typed; an emptied field is left out of it.

        Raises ConfigError for text that is no TOML value.
        """
        return set_value(tree, self.steps, self._read(shown))

    def _read(self, shown: Any) -> Any:
        if shown is None or (shown == "" and self.kind != "text"):
            return None
        if self.kind == "text":
            return None if shown == "" and self.default in (None, "") else shown
        if self.kind == "choice" and type(self.default) in (int, float):
            return type(self.default)(shown)
        if self.kind == "choice":
            return {"true": True, "false": False}.get(shown, shown)
        if self.kind == "word" and str(shown).lstrip().startswith("["):
            return _parsed(self.name, shown)
        if self.kind == "word":
            return int(shown) if str(shown).strip().isdecimal() else str(shown).strip()
        if self.kind == "int" and float(shown).is_integer():
            return int(shown)
        return _parsed(self.name, shown) if self.kind == "toml" else shown


def fields_of(config: type[BaseModel], place: Steps = (), leave: Collection[str] = ()) -> list[Field]:
    """The options of a block but for those to `leave` and those that no file can hold, by its JSON schema."""
    schema = config.model_json_schema(schema_generator=_Schema)
    return [
        _field((*place, info.alias or name), info, schema["properties"][info.alias or name])
        for name, info in config.model_fields.items()
        if name not in leave and not info.exclude
    ]


class _Schema(GenerateJsonSchema):
    """JSON schema in which an option that no file can hold allows anything."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def _field(steps: Steps, info: FieldInfo, schema: Mapping[str, Any]) -> Field:
    variants = [variant for variant in schema.get("anyOf", [schema]) if variant.get("type") != "null"]
    is_optional = len(variants) < len(schema.get("anyOf", [schema]))
    kind, choices = _kind(variants, is_optional)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    low = _first(variants[0], "minimum", "exclusiveMinimum")
    high = _first(variants[0], "maximum", "exclusiveMaximum")
    return Field(steps, " ".join((info.description or "").split()), kind, default, is_optional, choices, low, high)


def _kind(variants: Sequence[Mapping[str, Any]], is_optional: bool) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a field whose values fit one of some schemas, and its choices."""
    first = variants[0]
    if len(variants) == 1 and _words(first):
        return "choice", (*([""] if is_optional else []), *_words(first))
    if len(variants) == 1 and first.get("type") == "boolean" and is_optional:
        return "choice", ("", "true", "false")
    if len(variants) == 1 and first.get("type") == "array" and _holds_texts(first["items"]):
        return "list", _words(first["items"])
    if {variant.get("type") for variant in variants if not _words(variant)} == {"integer"} and len(variants) > 1:
        return "word", ()  # a number, or a word such as "auto"
    if {variant.get("type") for variant in variants} == {"string", "array"}:
        return "word", ()  # a column, or several
    is_plain = len(variants) == 1 and first.get("format") not in ("date", "date-time")
    return (PLAIN.get(first.get("type", ""), "toml") if is_plain else "toml"), ()


def _words(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of an enumeration."""
    return tuple(_word(value) for value in schema.get("enum", [schema["const"]] if "const" in schema else []))


def _holds_texts(items: Mapping[str, Any]) -> bool:
    return any(variant.get("type") == "string" for variant in items.get("anyOf", [items]))


def _first(schema: Mapping[str, Any], *names: str) -> float | None:
    """The first of some bounds that a schema has."""
    return next((float(schema[name]) for name in names if name in schema), None)


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
        return parse_value(text)
    except tomllib.TOMLDecodeError:
        raise ConfigError(
            f"{name}: {text!r} is no TOML value; texts stand in quotation marks and lists in brackets."
        ) from None
