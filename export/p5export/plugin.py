"""The plugin of the export: its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p5core.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

__all__ = ["p5_commands"]


@hookimpl
def p5_commands() -> list[click.Command]:
    """`p5 export` and what is done with what it makes."""
    from p5export.cli.export import export, verify
    from p5export.cli.score import score
    from p5export.cli.serve import serve
    from p5export.cli.update import extend, update

    return [export, extend, score, serve, update, verify]
