"""A loader of clickstreams."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_loaders"]

P5_API_VERSION = 2


@hookimpl
def p5_loaders() -> list[type]:
    """Imported when somebody asks."""
    from p5_shop.loader import Clickstream

    return [Clickstream]
