"""`p5 update` and `p5 extend`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry
    from p5core.runs.run import Run
    from p5export.graph.serving import ExportOptions

__all__ = ["extend", "update"]


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

    options = None if no_export else _options(run / "export")
    with stopped_with("Stopped; no run was made. Run the update again."):
        made = update_run(open_run(run), events, name, registry, assignments)
    click.echo(
        f"{made.run.path}: {made.n_events:,} new events, {made.n_items:,} new items, {made.n_users:,} new users."
    )
    for step in made.dropped:
        click.echo(f"  dropped {step.rows:,}: {step.reason}")
    _export(made.run, options, registry)


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("items", metavar="NEW_ITEMS", type=click.Path(path_type=Path))
@click.option("--id", "id_column", help="Id column of NEW_ITEMS; default: guessed.")
@click.option("--title", "title_column", help='Title column of NEW_ITEMS; default: guessed; "": none.')
@click.option("--name", help="Name of the extended run; default: RUN with a number.")
@click.option("--no-export", is_flag=True, help="Leave out the export.")
@click.pass_obj
def extend(
    registry: Registry,
    run: Path,
    items: Path,
    id_column: str | None,
    title_column: str | None,
    name: str | None,
    no_export: bool,
) -> None:
    """Add the items of the table NEW_ITEMS to the finished RUN without training: a new run that recommends them.

    They are placed by their titles, texts and categories. Scorers of a blend are fitted again, to all events. It is
    exported with the options of RUN's own export.
    """
    from p5core.runs.create import open_run
    from p5core.system.files import read_json
    from p5core.system.signals import stopped_with
    from p5core.workflows.update import extend as extend_run

    options = None if no_export else _options(run / "export")
    with stopped_with("Stopped; no run was made. Run it again."):
        made = extend_run(open_run(run), items, name, registry, id_column, title_column)
    click.echo(f"{made.run.path}: {made.n_items:,} new items.")
    for note in read_json(made.run.path / "report.json")["extended"]:
        click.echo(f"  {note}")
    _export(made.run, options, registry)


def _export(run: Run, options: ExportOptions | None, registry: Registry) -> None:
    """Export a new run with the options of an earlier export; None leaves it out."""
    from p5core.system.signals import stopped_with
    from p5export.export import export_run

    if options is not None:
        with stopped_with(f"Stopped; the run is whole and not exported. Go on with: p5 export {run.path}"):
            exported = export_run(run, run.path / "export", registry, options, click.echo)
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
