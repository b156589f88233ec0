"""A margin loss."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_losses"]

P5_API_VERSION = 2


@hookimpl
def p5_losses() -> list[type]:
    """Imported when somebody asks."""
    from p5_hinge.loss import Hinge

    return [Hinge]
