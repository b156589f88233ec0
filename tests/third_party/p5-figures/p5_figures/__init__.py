"""Two metrics."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_metrics"]

P5_API_VERSION = 2


@hookimpl
def p5_metrics() -> list[type]:
    """Imported when somebody asks."""
    from p5_figures.metrics import Loss, TailShare

    return [Loss, TailShare]
