"""A command."""

from __future__ import annotations

from pathlib import Path

import click

from p5core import hookimpl

__all__ = ["p5_commands", "peek"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def peek(run: Path) -> None:
    """List the parts that RUN was trained with."""
    from p5core import open_run

    for part in open_run(run).info().parts:
        click.echo(f"{part.kind} {part.name} {part.distribution} {part.version}")


@hookimpl
def p5_commands() -> list[click.Command]:
    """The command."""
    return [peek]
