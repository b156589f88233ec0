"""`p5 tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p5core.errors import ConfigError

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry

__all__ = ["tune"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="How many in all.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Number of trials at the same time."
)
@click.option("--only", multiple=True, metavar="KEY", help="Tune this option, or all below it; repeatable.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the file.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--name", help="Name of the search, in the folder NAME-tune; default: the file's name.")
@click.pass_obj
def tune(
    registry: Registry,
    file: Path,
    trials: int,
    processes: int,
    only: tuple[str, ...],
    assignments: tuple[str, ...],
    runs: Path,
    name: str | None,
) -> None:
    """Search for better options of the experiment FILE; the same command goes on where it was stopped."""
    _check()
    from p5core.cli.tables import wide_console
    from p5core.config.document import load_experiment
    from p5core.runs.names import check_run_name, to_run_name
    from p5core.tuning.report import trials_table
    from p5core.tuning.tune import tune as search
    from p5core.tuning.worker import Plan

    if name is not None:
        check_run_name(name)
    stem = name or to_run_name(file.stem)
    folder = runs / f"{stem}-tune"
    plan = Plan(load_experiment(file, assignments), folder, runs, trials, processes, only)
    worker, study = search(plan, registry, click.echo)
    if not study.best_first():
        raise ConfigError(f"No trial was completed; {folder / 'trials.csv'} says why.")
    wide_console().print(trials_table(study, worker.watch.label))
    click.echo(f"Trials: {folder / 'trials.csv'}. Plots: {folder / 'plots'}.")
    click.echo(f"Run the best: p5 run {folder / 'best.toml'} --name {stem}-best")


def _check() -> None:
    """Refuse to start without the packages of the extra `tune`."""
    try:
        import matplotlib
        import optuna
    except ImportError as error:
        raise ConfigError(
            f"'p5 tune' needs the package {error.name}, which is not installed. Run: pip install 'p5rec[tune]'"
        ) from None
    del matplotlib, optuna
