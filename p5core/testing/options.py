"""The promises of every part of any kind: a description and documented options."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import tomli_w

from p5core.config.base import parse_config
from p5core.errors import ConfigError

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["OPTION_CHECKS"]


def has_a_description(subject: Subject) -> None:
    """Name and docstring stand in lists, docs and forms."""
    part = subject.part
    assert part.name == part.name.lower().strip() != "", f"The name {part.name!r} must be lower case."
    assert (part.__dict__.get("__doc__") or "").strip(), f"{part.__qualname__} has no docstring; it describes the part."


def options_are_documented(subject: Subject) -> None:
    """The docstring under each option is its help text."""
    bare = [name for name, field in subject.part.Config.model_fields.items() if not field.description]
    assert not bare, f"{subject.part.Config.__qualname__}: no docstring under {', '.join(bare)}."


def options_survive_a_file(subject: Subject) -> None:
    """Options written to TOML and read back are equal: a stored run starts from what ran."""
    config = subject.config
    text = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True, by_alias=True))
    again = parse_config(subject.part.Config, tomllib.loads(text), subject.part.name)
    assert again.model_dump() == config.model_dump(), f"Options changed in a TOML file: {config!r} became {again!r}."


def unknown_options_are_refused(subject: Subject) -> None:
    """A typo is an error, never ignored."""
    try:
        parse_config(subject.part.Config, {**subject.options, "no_such_option": 1}, subject.part.name)
    except ConfigError:
        return
    raise AssertionError(f"'{subject.part.name}' accepts the unknown option 'no_such_option'; set extra='forbid'.")


OPTION_CHECKS: tuple[Check, ...] = (
    has_a_description,
    options_are_documented,
    options_survive_a_file,
    unknown_options_are_refused,
)
