"""A convolutional backbone."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_backbones"]

P5_API_VERSION = 2


@hookimpl
def p5_backbones() -> list[type]:
    """Imported when somebody asks."""
    from p5_tcn.backbone import Convolutions

    return [Convolutions]
