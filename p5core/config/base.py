"""The base class of option blocks, and error messages for invalid options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from p5core.errors import ConfigError, did_you_mean

__all__ = [
    "AUTO",
    "LABEL",
    "Choices",
    "Config",
    "ExpandedPath",
    "PartRef",
    "PartSpec",
    "Slot",
    "Tunable",
    "Value",
    "expand_variables",
    "has_paths",
    "parse_config",
]


class Config(BaseModel):
    """Options of one part or section: frozen, without unknown keys, each documented by the docstring under it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )


Value = bool | int | float | str
"""A plain value of an option."""


@dataclass(frozen=True)
class Tunable:
    """Search range of a number for `p5 tune`: `dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)`."""

    low: float
    high: float
    log: bool = False
    """Sample on a logarithmic scale."""


@dataclass(frozen=True)
class Choices:
    """Values that `p5 tune` chooses from: `n_heads: Annotated[int, Choices((1, 2, 4))] = Field(2, ge=1)`."""

    values: tuple[bool | int | float | str, ...]


class PartSpec(BaseModel):
    """The choice of a part: its `name` and, beside it, that part's own options, still unchecked."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    name: str
    """Name of the part."""

    @property
    def options(self) -> dict[str, Any]:
        """The options without the name."""
        return dict(self.model_extra or {})

    @classmethod
    def of(cls, ref: PartRef) -> PartSpec:
        """Convert a reference; the part of a label after the name goes into the option LABEL."""
        if isinstance(ref, PartSpec):
            return ref
        name, at, rest = (piece.strip() for piece in ref.partition("@"))
        return cls.model_validate({"name": name, **({LABEL: rest} if at else {})})


PartRef = str | PartSpec
"""A part as an experiment names it: a table, or a label such as "popularity", "ndcg@10" or "tail@5,head=0.1"."""

LABEL = "@"
"""Option key for the part of a label after the name: the value of the first option, then `option=value`."""

AUTO = PartSpec(name="auto")
"""The default part of its kind."""


@dataclass(frozen=True)
class Slot:
    """Marks an option that names parts of a kind: `backbone: Annotated[PartSpec, Slot("backbone")]`."""

    kind: str


def expand_variables(text: str) -> str:
    """Replace `${NAME}` by the environment variable; raises ConfigError when it is not set."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"'{text}' uses the environment variable {name}, which is not set. Set it and try again.")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text)


def _absolute(value: Any) -> Any:
    if not isinstance(value, (str, Path)):
        return value
    return Path(expand_variables(str(value))).expanduser().absolute()


def has_paths(info: FieldInfo) -> bool:
    """True if an option names files."""

    def within(annotation: Any) -> bool:
        is_path = isinstance(annotation, type) and issubclass(annotation, Path)
        return is_path or any(within(argument) for argument in get_args(annotation))

    return within(info.annotation)


ExpandedPath = Annotated[Path, BeforeValidator(_absolute)]
"""A path with `${VARIABLES}` and `~` expanded, made absolute so that a stored run finds its data from any folder."""

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def parse_config(model: type[ConfigT], options: Mapping[str, Any], where: str) -> ConfigT:
    """Check `options` against `model`; raises ConfigError with place, fault and, for a typo, a suggestion."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        faults = [_explain(model, fault, options, where) for fault in error.errors()]
        raise ConfigError(" ".join(faults)) from None


def _explain(model: type[BaseModel], fault: Any, options: Mapping[str, Any], where: str) -> str:
    *outer, last = [where, *_written(fault["loc"], options)]
    place = ".".join([*outer, last])
    if fault["type"] == "extra_forbidden":
        valid = _options_at(model, fault["loc"][:-1])
        listed = f" Known options: {', '.join(sorted(valid))}." if valid else ""
        return f"{'.'.join(outer)}: unknown option '{last}'.{did_you_mean(last, valid)}{listed}"
    if fault["type"] == "missing":
        return f"{place}.{fault['loc'][-1]}: this option is required."
    if fault["type"] == "union_tag_not_found":
        return f"{place}.name: this option is required."
    if fault["type"] == "union_tag_invalid":
        word, tags = fault["ctx"]["tag"], [tag.strip("' ") for tag in fault["ctx"]["expected_tags"].split(",")]
        return f"{place}: unknown name '{word}'.{did_you_mean(word, tags)} Known names: {', '.join(tags)}."
    if fault["type"] == "string_type" and len(fault["loc"]) > 1 and isinstance(fault["loc"][-1], str):
        return f'{".".join(outer)}: expected a label such as "ndcg@10" or a table with a name (got {fault["input"]!r}).'
    if fault["type"] == "model_type":
        example = f'"{fault["input"]}"' if isinstance(fault["input"], str) else "..."
        return f"{place}: expected a table such as {{ name = {example} }} (got {fault['input']!r})."
    return f"{place}: {fault['msg'].removeprefix('Value error, ')} (got {fault['input']!r})."


def _written(steps: tuple[Any, ...], options: Any) -> list[str]:
    """The location without the names that pydantic adds for members of unions."""
    written = []
    for step in steps:
        is_key = isinstance(options, Mapping) and step in options
        if is_key or (isinstance(options, list) and isinstance(step, int)):
            written.append(str(step))
            options = options[step]
    return written


def _options_at(model: type[BaseModel], steps: tuple[Any, ...]) -> list[str]:
    """Names of the options at a nested place, as far as the annotations tell."""
    candidates = [model]
    for step in steps:
        if isinstance(step, int):
            continue
        fields = [candidate.model_fields[step] for candidate in candidates if step in candidate.model_fields]
        tagged = [
            candidate
            for candidate in candidates
            if "name" in candidate.model_fields and candidate.model_fields["name"].default == step
        ]
        candidates = [inner for field in fields for inner in _models_in(field.annotation)] or tagged
    return [field.alias or name for candidate in candidates[:1] for name, field in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
