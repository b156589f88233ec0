"""A contrastive task."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_tasks"]

P5_API_VERSION = 2


@hookimpl
def p5_tasks() -> list[type]:
    """Imported when somebody asks."""
    from p5_contrast.task import Contrast

    return [Contrast]
