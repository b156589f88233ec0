"""`p5 runs list`, `p5 runs show` and `p5 compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p5core.errors import RunError
from p5core.runs.documents import RunState

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry
    from p5core.runs.run import Run

__all__ = ["compare", "runs"]

RUNS_OPTION = click.option(
    "--runs",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the runs.",
)


@click.group()
def runs() -> None:
    """List and inspect runs."""


@runs.command("list")
@RUNS_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(folder: Path, as_json: bool) -> None:
    """List all runs, newest first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from p5core.runs.create import list_runs

    rows = [_summary(run, folder) for run in list_runs(folder)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    table = Table()
    for column in ("run", "state", "done", "test figures"):
        table.add_column(column)
    for row in rows:
        figures = "  ".join(f"{label} {value:.4f}" for label, value in row["test"].items() if value is not None)
        state = f"{row['state']}{_silence(row['seconds_of_silence'])}"
        table.add_row(escape(row["run"]), state, f"{row['share']:.0%}", figures)
    Console().print(table if rows else f"There are no runs in {folder}.")


def _summary(run: Run, folder: Path) -> dict[str, Any]:
    state = run.state()
    test: dict[str, Any] = {}
    if state == RunState.DONE:
        try:
            test = dict(run.metrics().test["model"])
        except RunError:  # one damaged run hides no other; `p5 runs show` says what is wrong
            state = RunState.DAMAGED
    status = run.status()
    return {
        "run": str(run.path.relative_to(folder)),
        "state": state,
        "share": 1.0 if run.is_sealed() else status.share,
        "test": test,
        "seconds_of_silence": round(status.silent_seconds) if state.is_written else None,
    }


def _silence(seconds: float | None) -> str:
    """Words on a run that may be hanging."""
    from p5core.runs.documents import SILENT_SECONDS

    if seconds is None or seconds < SILENT_SECONDS:
        return ""
    return f", no sign of life for {seconds // 60:.0f} minutes"


@runs.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
def show(run: Path) -> None:
    """Show the experiment, state and figures of a RUN."""
    from rich.console import Console

    from p5core.cli.tables import stored_table
    from p5core.runs.create import open_run

    folder, console = open_run(run), Console()
    text = (folder.path / "experiment.toml").read_text(encoding="utf-8", errors="replace")
    console.print(text, markup=False, highlight=False)
    if chosen := folder.trials().chosen:
        console.print("Chosen by short trainings:", ", ".join(f"{key} = {value}" for key, value in chosen.items()))
    state, status = folder.state(), folder.status()
    silence = _silence(status.silent_seconds) if state.is_written else ""
    console.print(f"State: {state}{silence} {status.message}", markup=False)
    if state == RunState.DONE:
        metrics = folder.metrics()
        for part in ("validation", "test"):
            console.print(stored_table(metrics, part, part))
        console.print(metrics.protocol, highlight=False)


@click.command()
@click.argument("first", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("second", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--resamples", type=click.IntRange(min=100), default=10_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.pass_obj
def compare(registry: Registry, first: Path, second: Path, resamples: int, seed: int) -> None:
    """Test the difference between two RUNs on the same test users."""
    from rich.console import Console
    from rich.table import Table

    from p5core.runs.create import open_run
    from p5core.workflows.compare import compare_sides, stored_side

    first_side, other = (stored_side(open_run(path)) for path in (first, second))
    table = Table(title=f"{first_side.name} less {other.name}")
    for column in ("metric", first_side.name, other.name, "difference", "95 % interval", "p"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for compared in compare_sides(registry, first_side, other, resamples, seed):
        result = compared.result
        interval = f"{result.low:+.4f} to {result.high:+.4f}"
        means = (f"{compared.first:.4f}", f"{compared.second:.4f}")
        table.add_row(compared.label, *means, f"{result.difference:+.4f}", interval, f"{result.p_value:.4f}")
    Console().print(table)
