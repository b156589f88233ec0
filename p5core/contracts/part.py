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
    """Its name in experiments: lower-case letters, digits and `_`, unique among the parts of its kind."""

    Config: ClassVar[type[Config]] = NoOptions
    """Its options. The docstring under each option is the help text in command line, docs and form."""

    is_default: ClassVar[bool] = False
    """Whether the built-in part is taken when an experiment names none of its kind; of no effect in other plugins."""

    def __init__(self, config: Any) -> None:
        self.config = config
