"""Installed plugins and the parts that they provide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p5core.config.base import Config

if TYPE_CHECKING:
    from p5core.contracts.part import Part

__all__ = ["BUILT_IN", "Chosen", "PartInfo", "PluginStatus"]

BUILT_IN = "p5rec"
"""Distribution of the built-in parts."""


@dataclass(frozen=True)
class PluginStatus:
    """One installed plugin."""

    name: str
    distribution: str
    version: str
    faults: tuple[str, ...] = ()
    """messages and tracebacks of the plugin, of its hooks, and of single parts"""

    seconds: float = field(default=0.0, compare=False)
    """time that its import took"""

    @property
    def key(self) -> str:
        """Unique name: two distributions may use the same entry point name."""
        return f"{self.distribution}:{self.name}"

    @property
    def fault(self) -> str | None:
        """All faults as one text; None for a healthy plugin."""
        return "\n".join(self.faults) if self.faults else None

    @property
    def state(self) -> str:
        """ "ok" or "failed"."""
        return "failed" if self.faults else "ok"


@dataclass(frozen=True)
class PartInfo:
    """One usable part and the plugin that provides it."""

    kind: str
    part: type[Part]
    plugin: PluginStatus

    @property
    def qualified(self) -> str:
        """`distribution/name`, which names it whatever else is installed."""
        return f"{self.plugin.distribution}/{self.part.name}"

    @property
    def is_built_in(self) -> bool:
        """True if P5 itself provides it."""
        return self.plugin.distribution == BUILT_IN

    @property
    def about(self) -> str:
        """The first sentence of its docstring."""
        paragraph = " ".join((self.part.__doc__ or "").strip().split("\n\n")[0].split())
        sentence, dot, _ = paragraph.partition(". ")
        return sentence + "." if dot else sentence


@dataclass(frozen=True)
class Chosen:
    """A part picked by an experiment, with its checked options."""

    part: type[Any]
    config: Config

    def build(self, *arguments: Any) -> Any:
        """Make the part: its class called with the options and `arguments`."""
        return self.part(self.config, *arguments)
