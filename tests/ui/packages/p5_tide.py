"""A backbone of a third party."""

from __future__ import annotations

from p5core.plugins.hookspecs import hookimpl

__all__ = ["p5_backbones"]


@hookimpl
def p5_backbones() -> list[type]:
    """Imported when somebody asks."""
    from p5_tide_backbone import Tide

    return [Tide]
