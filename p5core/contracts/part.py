"""What all parts have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from p5core.config.base import Config

__all__ = ["NoOptions", "Part"]


class NoOptions(Config):
    """The option block of a part that has none."""


class Part:
    """A named, configurable piece that a plugin brings.

    A part is built as `cls(config, ...)`, with an instance of its `Config` first; what follows depends on the kind.
    """

    name: ClassVar[str]
    """What an experiment calls it; lower case, unique among the parts of its kind."""

    Config: ClassVar[type[Config]] = NoOptions
    """Its options. The docstring under each option is the text of the command line help, the docs and the form."""

    def __init__(self, config: Any) -> None:
        self.config = config
