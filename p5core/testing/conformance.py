"""The checks of each kind of part, and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry
from p5core.testing.options import OPTION_CHECKS
from p5core.testing.subject import Check, Subject

if TYPE_CHECKING:
    from p5core.testing.world import World

__all__ = ["Case", "cases", "check_part", "checks"]


@dataclass(frozen=True)
class Case:
    """One check of one part."""

    kind: str
    name: str
    check: str

    @property
    def part(self) -> tuple[str, str]:
        """Kind and name."""
        return self.kind, self.name

    def run(self, registry: Registry, options: Mapping[str, Any] | None = None, world: World | None = None) -> None:
        """Run the check; raises AssertionError when the part breaks a promise."""
        from p5core.testing.world import read_fields, toy_world

        part = registry.get(self.kind, self.name)
        world = (world or toy_world()).with_fields(read_fields(part))
        checks(self.kind)[self.check](Subject(self.kind, self.name, registry, part, options or {}, world))

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}-{self.check}"


def checks(kind: str) -> Mapping[str, Check]:
    """Name → check for one kind of part."""
    module = import_module(f"p5core.testing.checks.{KINDS[kind].checks}")
    special: tuple[Check, ...] = module.CHECKS
    return {check.__name__: check for check in (*OPTION_CHECKS, *special)}


def cases(
    registry: Registry, kind: str | None = None, name: str | None = None, distribution: str | None = None
) -> list[Case]:
    """Every check of the parts of a registry; of one kind, name or distribution when they are given."""
    return [
        Case(each, label, check)
        for each in ([kind] if kind else KINDS)
        for label, info in registry.parts(each).items()
        if name in (None, label, info.part.name, info.qualified) and distribution in (None, info.plugin.distribution)
        for check in checks(each)
    ]


def check_part(
    registry: Registry, kind: str, name: str, options: Mapping[str, Any] | None = None, world: World | None = None
) -> None:
    """Run every check of a part; raises AssertionError at the first promise it breaks."""
    for case in cases(registry, kind, registry.info(kind, name).qualified):
        case.run(registry, options, world)
