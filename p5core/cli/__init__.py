"""The command `p5`: one module a group of commands."""

from __future__ import annotations

from typing import Any

import click

from p5core.cli.data import data, init
from p5core.cli.demo import demo
from p5core.cli.plugins import plugins
from p5core.cli.recommend import recommend
from p5core.cli.run import evaluate, run
from p5core.cli.runs import compare, runs
from p5core.cli.tune import tune
from p5core.errors import P5Error
from p5core.plugins import Registry, load_plugins

__all__ = ["build", "main"]

COMMANDS: tuple[click.Command, ...] = (compare, data, demo, evaluate, init, plugins, recommend, run, runs, tune)


class _Group(click.Group):
    """Turns errors that P5 raises on purpose into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except P5Error as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt as stopped:
            click.echo(str(stopped) or "Stopped.", err=True)
            ctx.exit(130)


def build(registry: Registry) -> click.Group:
    """Assemble all commands, those of plugins included."""

    @click.group("p5", cls=_Group)
    @click.version_option(package_name="p5rec", prog_name="p5")
    @click.pass_context
    def group(context: click.Context) -> None:
        """From an interaction log to a recommender that runs anywhere."""
        context.obj = registry
        for plugin in registry.failures() if context.invoked_subcommand != "plugins" else ():
            click.echo(f"Warning: plugin '{plugin.name}' failed to load; see 'p5 plugins list'.", err=True)

    for command in (*COMMANDS, *registry.commands(taken=[str(one.name) for one in COMMANDS])):
        group.add_command(command)
    return group


def main() -> None:
    """The console script."""
    build(load_plugins())(prog_name="p5")
