"""A tracker."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_trackers"]

P5_API_VERSION = 2


@hookimpl
def p5_trackers() -> list[type]:
    """Imported when somebody asks."""
    from p5_notebook.tracker import Notebook

    return [Notebook]
