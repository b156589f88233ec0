"""The web interface: from a log to a recommender without writing code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p5core.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

__all__ = ["p5_commands"]


@hookimpl
def p5_commands() -> list[click.Command]:
    """The command `p5 ui`."""
    from p5ui.server.cli import ui

    return [ui]
