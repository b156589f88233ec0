"""The base of all parts."""

from __future__ import annotations

from typing import Any, ClassVar

from p5core.config.base import Config

__all__ = ["NoOptions", "Part"]


class NoOptions(Config):
    """The option block of a part that has none."""


class Part:
    """A named, configurable piece that a plugin provides.

    A part is built as `cls(config, ...)`, with an instance of its `Config` first; the other arguments depend on the
    kind.
    """

    name: ClassVar[str]
    """Name in experiments: lower-case letters, digits and `_`; unique within its kind."""

    Config: ClassVar[type[Config]] = NoOptions
    """Options. The docstring below each option is its help text in the command line, the docs and the form."""

    is_default: ClassVar[bool] = False
    """True if an experiment without a part of this kind uses this built-in part; ignored in other plugins."""

    def __init__(self, config: Any) -> None:
        self.config = config
