"""`p5 update`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry
    from p5export.graph.serving import ExportOptions

__all__ = ["update"]


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("events", metavar="NEW_EVENTS", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the updated run; default: RUN with a number.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the loader.")
@click.option("--no-export", is_flag=True, help="Leave out the export.")
@click.pass_obj
def update(
    registry: Registry, run: Path, events: Path, name: str | None, assignments: tuple[str, ...], no_export: bool
) -> None:
    """Add NEW_EVENTS to the finished RUN without training: a new run with refitted scorers and new items.

    It is exported with the options of RUN's own export, if there is one.
    """
    from p5core.runs.create import open_run
    from p5core.system.signals import stopped_with
    from p5core.workflows.update import update as update_run
    from p5export.export import export_run

    options = _options(run / "export")
    with stopped_with("Stopped; no run was made. Run the update again."):
        made = update_run(open_run(run), events, name, registry, assignments)
    click.echo(
        f"{made.run.path}: {made.n_events:,} new events, {made.n_items:,} new items, {made.n_users:,} new users."
    )
    for step in made.dropped:
        click.echo(f"  dropped {step.rows:,}: {step.reason}")
    if not no_export:
        with stopped_with(f"Stopped; the run is whole and not exported. Go on with: p5 export {made.run.path}"):
            exported = export_run(made.run, made.run.path / "export", registry, options, click.echo)
        click.echo(f"Export: {exported.folder}")


def _options(export: Path) -> ExportOptions:
    """The options of an earlier export; the defaults where there is none."""
    from p5core.errors import ExportError
    from p5export.bundle.bundle import Bundle
    from p5export.graph.serving import ExportOptions

    if not (export / "p5.json").is_file():
        return ExportOptions()
    manifest = Bundle.load(export).manifest
    if manifest["n_allowed"] < manifest["n_items"]:
        raise ExportError(f"{export} recommends some items alone. Use --no-export, then 'p5 export --allow'.")
    columns = [name for name in manifest["outputs"] if name not in ("items", "scores")]
    kept = {option.name: manifest[option.name] for option in fields(ExportOptions) if option.name in manifest}
    return ExportOptions(**kept, metadata=columns)
