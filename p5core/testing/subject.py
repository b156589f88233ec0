"""A part under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p5core.config.base import Config, parse_config

if TYPE_CHECKING:
    from p5core.data.catalogue import Catalogue, Users
    from p5core.plugins.registry import Registry
    from p5core.testing.world import World

__all__ = ["Check", "Subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A part under test and its surroundings."""

    kind: str
    name: str
    """name that chooses the part among those installed"""

    registry: Registry
    part: type[Any]
    options: Mapping[str, Any]
    world: World

    @property
    def config(self) -> Config:
        """The checked options; raises ConfigError when a required one was not given."""
        model: type[Config] = self.part.Config
        return parse_config(model, self.options, f"options of '{self.part.name}' for the kit")

    @property
    def entities(self) -> Catalogue | Users:
        """The items of the world, or the users for an encoder of users alone."""
        encodes = getattr(self.part, "encodes", ("item",))
        return self.world.catalogue if "item" in encodes else self.world.users

    def build(self, *arguments: Any) -> Any:
        """Make the part with its options."""
        return self.part(self.config, *arguments)


Check = Callable[[Subject], None]
"""Raises AssertionError when the part breaks a promise."""
