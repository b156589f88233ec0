"""`p5 data describe` and `p5 init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p5core.data.dataset import Dataset
    from p5core.data.report import PrepareReport
    from p5core.plugins import Registry

__all__ = ["data", "init"]


@click.group()
def data() -> None:
    """Look at data before anything is trained."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def describe(registry: Registry, file: Path) -> None:
    """Say what P5 sees in FILE: a data file, or an experiment."""
    from rich.console import Console

    from p5core.data.report import report_text

    _, report = _look_at(registry, file)
    Console().print(report_text(report), markup=False, highlight=False)


def _look_at(registry: Registry, file: Path) -> tuple[Dataset, PrepareReport]:
    """Load and prepare a data file with nothing left out, or an experiment's data as the experiment says."""
    from p5core.config import PartSpec
    from p5core.data.prepare import PrepareConfig
    from p5core.experiment import load_experiment
    from p5core.materials import load_data

    if file.suffix == ".toml":
        experiment = load_experiment(file)
        return load_data(registry, experiment.data, experiment.prepare)
    spec = PartSpec.model_validate({"name": "table", "path": str(file)})
    return load_data(registry, spec, PrepareConfig(keep="all", min_user_events=1))


@click.command()
@click.argument("file", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where to write; DATA.toml here otherwise.")
@click.pass_obj
def init(registry: Registry, file: Path, output: Path | None) -> None:
    """Write a commented experiment for the data file DATA."""
    from p5core.errors import ConfigError
    from p5core.files import write_text
    from p5core.recipes import recipe_for, recipe_text

    dataset, report = _look_at(registry, file)
    target = output or Path(file.name.split(".")[0] + ".toml")
    if target.exists():
        raise ConfigError(f"{target} exists and is left alone. Choose another file with --output.")
    summary = f"{file}: {report.n_users:,} users, {report.n_items:,} items, {report.n_events:,} events"
    write_text(target, recipe_text(str(file), recipe_for(dataset), summary))
    click.echo(f"Wrote {target}. Read it, change what you like, then: p5 run {target}")
