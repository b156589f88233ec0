"""`python -m p5core.testing`: the conformance kit from the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from p5core.config.tree import override
from p5core.errors import P5Error
from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry
from p5core.testing.conformance import Case, cases

__all__ = ["main"]


@click.command()
@click.argument("kind", required=False, type=click.Choice([*KINDS]))
@click.argument("name", required=False)
@click.option("--distribution", help="Check all parts of this distribution, such as p5-average.")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help='Option of the part, such as columns=["tags"].'
)
def main(kind: str | None, name: str | None, distribution: str | None, settings: tuple[str, ...]) -> None:
    """Run every check of a part, such as `backbone average`, of a KIND of parts, or of a distribution."""
    if kind is None and distribution is None:
        raise click.UsageError("Name a KIND and the NAME of a part, such as 'backbone average', or a --distribution.")
    try:
        registry = load_plugins()
        label = registry.info(kind, name).qualified if kind and name else None
        chosen = cases(registry, kind, label, distribution)
        options: dict[str, Any] = {}
        for setting in settings:
            options = override(options, setting)
    except P5Error as error:
        raise click.ClickException(error.message) from None
    if not chosen:
        raise click.ClickException(f"No part of '{distribution or kind}' is installed. 'p5 plugins list' shows all.")
    n_failed = sum(not _passes(case, registry, options) for case in chosen)
    click.echo(f"{len(chosen) - n_failed} of {len(chosen)} checks passed.")
    sys.exit(n_failed > 0)


def _passes(case: Case, registry: Registry, options: Mapping[str, Any]) -> bool:
    """Run a check and print its outcome."""
    try:
        case.run(registry, options)
    except (AssertionError, P5Error) as fault:
        click.echo(f"FAILED {case}: {fault}")
        return False
    click.echo(f"passed {case}")
    return True


if __name__ == "__main__":
    main()
