"""`p5 data describe` and `p5 init`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from p5core.data.dataset import Dataset
    from p5core.data.ingest.report import PrepareReport
    from p5core.plugins.registry import Registry

__all__ = ["data", "init"]

SETTING = "Option of the loader, such as items=movies.csv; name=… chooses the loader."
LOOKED_AT = 100
"""Lines"""

BETWEEN_COLUMNS = ("\t", ",", ";", "|", "::")
"""What histories do not hold, and tables do."""


@click.group()
def data() -> None:
    """Look at data before anything is trained."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=SETTING)
@click.pass_obj
def describe(registry: Registry, file: Path, settings: tuple[str, ...]) -> None:
    """Say what P5 sees in FILE: a data file, or an experiment."""
    from rich.console import Console

    from p5core.data.ingest.report import report_text

    Console().print(report_text(_look_at(registry, file, settings)[1]), markup=False, highlight=False)


@data.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.pass_obj
def example(registry: Registry, folder: Path) -> None:
    """Fetch MovieLens-100K and write it into FOLDER as CSV files to try commands on.

    ratings.csv and movies.csv are the log and what is known of its items; yesterday.csv has the latest events, which
    ratings.csv lacks.
    """
    from p5core.config.base import PartSpec
    from p5core.errors import ConfigError
    from p5core.workflows.example_data import write_example

    raw = registry.choose("loader", PartSpec(name="movielens"), "data").build().load()
    taken = [name for name in ("ratings.csv", "movies.csv", "yesterday.csv") if (folder / name).exists()]
    if taken:
        raise ConfigError(f"{folder / taken[0]} exists and is left alone. Name another folder.")
    for path, n_rows in write_example(raw, folder):
        click.echo(f"{path}: {n_rows:,} rows")


@click.command()
@click.argument("file", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where to write; DATA.toml here otherwise.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=SETTING)
@click.pass_obj
def init(registry: Registry, file: Path, output: Path | None, settings: tuple[str, ...]) -> None:
    """Write a commented experiment for the data file DATA."""
    from p5core.errors import ConfigError
    from p5core.system.files import write_text
    from p5core.workflows.presets import recipe_for, recipe_text

    dataset, report, section = _look_at(registry, file, settings)
    target = output or Path(file.name.split(".")[0] + ".toml")
    if target.exists():
        raise ConfigError(f"{target} exists and is left alone. Choose another file with --output.")
    summary = f"{file}: {report.n_users:,} users, {report.n_items:,} items, {report.n_events:,} events"
    write_text(target, recipe_text(section, recipe_for(dataset), summary))
    click.echo(f"Wrote {target}. Read it, change what you like, then: p5 run {target}")


def _look_at(
    registry: Registry, file: Path, settings: Sequence[str]
) -> tuple[Dataset, PrepareReport, Mapping[str, Any]]:
    """Load and prepare a data file with nothing left out, or an experiment's data as the experiment says."""
    from p5core.config.base import PartSpec
    from p5core.config.experiment import load_experiment, override
    from p5core.data.ingest.prepare import PrepareConfig
    from p5core.workflows.experiment_data import load_data

    if file.suffix == ".toml":
        experiment = load_experiment(file, [f"data.{one}" for one in settings])
        return *load_data(registry, experiment.data, experiment.prepare), {}
    section = {"name": "sequences" if _is_ragged(file) else "table", "path": str(file)}
    for setting in settings:
        section = override(section, setting)
    keep_all = PrepareConfig(keep="all", min_user_events=1)
    return *load_data(registry, PartSpec.model_validate(section), keep_all), section


def _is_ragged(file: Path) -> bool:
    """Whether the lines hold words with spaces between, here more and there fewer: histories, and no table."""
    if file.suffix not in {"", ".txt", ".seq", ".dat"} or not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as text:
        lines = list(islice(text, LOOKED_AT))
    is_table = any(mark in line for line in lines for mark in BETWEEN_COLUMNS)
    return not is_table and len({len(line.split()) for line in lines if line.strip()}) > 1
