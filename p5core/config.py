"""The base of every option block, and how a wrong one is explained."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from p5core.errors import ConfigError, did_you_mean

__all__ = ["Config", "ExpandedPath", "PartSpec", "expand_variables", "parse_config"]


class Config(BaseModel):
    """Options of one part or section: frozen, without unknown keys, each documented by the docstring under it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class PartSpec(BaseModel):
    """The choice of a part: its `name` and, beside it, that part's own options, still unchecked."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options without the name."""
        return dict(self.model_extra or {})


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


ExpandedPath = Annotated[Path, BeforeValidator(_absolute)]
"""A path with `${VARIABLES}` and `~` expanded, made absolute so that a stored run finds its data from any folder."""

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def parse_config(model: type[ConfigT], options: Mapping[str, Any], where: str) -> ConfigT:
    """Check `options` against `model`; raises ConfigError with place, fault and, for a typo, a suggestion."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        faults = [_explain(model, fault, where) for fault in error.errors()]
        raise ConfigError(" ".join(faults)) from None


def _explain(model: type[BaseModel], fault: Any, where: str) -> str:
    place = ".".join(str(step) for step in (where, *fault["loc"]) if step != "")
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, fault["loc"][:-1])
        word = str(fault["loc"][-1])
        listed = f" Known options: {', '.join(sorted(known))}." if known else ""
        return f"{place}: unknown option '{word}'.{did_you_mean(word, known)}{listed}"
    if fault["type"] == "missing":
        return f"{place}: this option is required."
    return f"{place}: {fault['msg']} (got {fault['input']!r})."


def _fields_at(model: type[BaseModel], steps: tuple[Any, ...]) -> list[str]:
    """Names of the options at a nested place, as far as the annotations tell."""
    for step in steps:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(str(step))
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
