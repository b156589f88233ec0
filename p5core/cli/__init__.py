"""The command `p5`: one module a group of commands."""

from __future__ import annotations

import errno
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from p5core.cli.data import data, init
from p5core.cli.plugins import plugins, presets
from p5core.cli.recommend import recommend
from p5core.cli.run import evaluate, refit, run
from p5core.cli.runs import compare, runs
from p5core.cli.transfer import finetune, pretrain, transfer
from p5core.cli.tune import tune
from p5core.errors import P5Error
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.system.environment import database_fault, fault_of
from p5core.system.signals import STOPPING, handled, is_interrupted_query

__all__ = ["build", "main"]

COMMANDS: tuple[click.Command, ...] = (
    compare,
    data,
    evaluate,
    finetune,
    init,
    plugins,
    presets,
    pretrain,
    recommend,
    refit,
    run,
    runs,
    transfer,
    tune,
)


class _Group(click.Group):
    """Turns errors that P5 raises on purpose, and those of the environment, into one sentence and an exit code.

    Whatever asks the program to stop unwinds it, so that temporary files are removed.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with handled(_stop):
                return super().invoke(ctx)
        except P5Error as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt as stopped:
            click.echo(str(stopped) or "Stopped.", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has gone
                raise
            raise click.ClickException(fault_of(error)) from None
        except Exception as error:
            if is_interrupted_query(error):
                click.echo("Stopped.", err=True)
                ctx.exit(130)
            if not _is_database_io(error):
                raise
            raise click.ClickException(database_fault(error)) from None


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _is_database_io(error: Exception) -> bool:
    """True for an input/output error raised by DuckDB."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.IOException)


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

    for command in (*COMMANDS, *registry.commands(taken=[str(module.name) for module in COMMANDS])):
        group.add_command(command)
    return group


def main() -> None:
    """The console script."""
    try:
        Path.cwd()
    except FileNotFoundError:  # libraries below would end the process without a word of what is wrong
        raise SystemExit("Error: The working folder no longer exists. Change to another one.") from None
    try:
        build(load_plugins())(prog_name="p5")
    finally:
        for number in STOPPING:  # all is said; what libraries do at the end of the process need not be unwound
            signal.signal(number, signal.SIG_DFL)
