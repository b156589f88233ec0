"""`p5 run`, `p5 refit` and `p5 evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from p5core.config.experiment import Experiment
    from p5core.plugins.registry import Registry
    from p5core.runs.run import Run

__all__ = ["evaluate", "print_figures", "refit", "run"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the file.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--name", help="Name of the run; default: the file's name.")
@click.option("--resume", "is_resumed", is_flag=True, help="Resume a stopped run.")
@click.option("--folds", type=click.IntRange(min=2), help="Number of cross-validation folds.")
@click.option("--dry-run", is_flag=True, help="Load, prepare and estimate time and memory; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan of --dry-run as one line of JSON.")
@click.option("--device", help="Device of training: auto (CUDA if available), cpu, cuda or cuda:1.")
@click.option("--precision", help="Numeric precision of training: auto, 32-true or bf16-mixed.")
@click.option("--from", "source", metavar="RUN", help="Start from the weights of a finished run.")
@click.pass_obj
def run(
    registry: Registry,
    file: Path,
    assignments: tuple[str, ...],
    runs: Path,
    name: str | None,
    is_resumed: bool,
    folds: int | None,
    dry_run: bool,
    as_json: bool,
    device: str | None,
    precision: str | None,
    source: str | None,
) -> None:
    """Train and evaluate the experiment FILE."""
    from rich.console import Console

    from p5core.config.document import load_experiment
    from p5core.runs.names import check_run_name, free_name, to_run_name

    if name is not None:
        check_run_name(name)
    stem = to_run_name(file.stem)
    console = Console()
    named = {"device": device, "precision": precision, "stages.0.from": source}
    assignments = (*assignments, *(f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None))
    experiment = load_experiment(file, assignments)
    if dry_run:
        _plan(experiment, registry, runs, console, as_json)
    elif folds is not None:
        chosen = name or (stem if is_resumed else free_name(runs, stem))
        _cross_validate(experiment, registry, runs, chosen, folds, is_resumed, console)
    elif is_resumed:
        _resume(experiment, registry, runs / (name or stem), console)
    else:
        _run_once(experiment, registry, runs, name or free_name(runs, stem), None, console)


def _plan(experiment: Experiment, registry: Registry, runs: Path, console: Console, as_json: bool) -> None:
    from p5core.workflows.train import plan_run

    plan = plan_run(experiment, runs, registry)
    if as_json:
        choices, sentences = plan.data.report["choices"], list(plan.data.sentences)
        click.echo(json.dumps({"sentences": sentences, "choices": choices, "estimate": plan.expected.to_dict()}))
        return
    for sentence in plan.data.sentences:
        console.print(sentence, highlight=False)


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the new run; default: that of RUN with a number.")
@click.option("--resume", "is_resumed", is_flag=True, help="Go on with the run --name, which was stopped.")
@click.pass_obj
def refit(registry: Registry, run: Path, name: str | None, is_resumed: bool) -> None:
    """Train the recipe of a finished RUN on all its events, held-out ones included."""
    from rich.console import Console

    from p5core.cli.display import Terminal
    from p5core.errors import ConfigError
    from p5core.runs.create import open_run
    from p5core.workflows import refit as workflow

    console = Console()
    if is_resumed and name is None:
        raise ConfigError("--resume needs the --name of the run that was stopped.")
    if is_resumed:
        finished = workflow.go_on(open_run(run.parent / str(name)), registry, Terminal(console))
    else:
        finished = workflow.refit(open_run(run), name, registry, Terminal(console))
    click.echo(
        f"Wrote {finished.path}, trained on all events; its figures are those of '{run.name}'. "
        f"Export it: p5 export {finished.path}"
    )


def _run_once(
    experiment: Experiment, registry: Registry, runs: Path, name: str, fold: tuple[int, int] | None, console: Console
) -> Run:
    from p5core.cli.display import Terminal
    from p5core.workflows import train

    finished = train.run(experiment, runs, name, registry, fold, Terminal(console))
    _show(finished, console)
    return finished


def _show(finished: Run, console: Console) -> None:
    """Print the figures; of several processes the first one evaluates, and the others are over by now."""
    from p5core.system.signals import stopped_with

    if finished.is_sealed():
        with stopped_with(f"Stopped; the run is whole: {finished.path}"):
            print_figures(finished, console)


def _resume(experiment: Experiment, registry: Registry, path: Path, console: Console) -> Run:
    from p5core.cli.display import Terminal
    from p5core.errors import ConfigError
    from p5core.runs.create import open_run
    from p5core.workflows import train

    folder = open_run(path)
    if not train.is_experiment_of(experiment, folder, registry):
        raise ConfigError(
            f"The experiment differs from the one that run {path} was started with ({path}/experiment.toml). "
            "Resume with the same file and --set values, or start a new run with another --name."
        )
    finished = train.resume(folder, registry, Terminal(console))
    _show(finished, console)
    return finished


def _cross_validate(
    experiment: Experiment,
    registry: Registry,
    runs: Path,
    name: str,
    n_folds: int,
    is_resumed: bool,
    console: Console,
) -> None:
    import statistics

    from p5core.system.files import write_json

    experiment = _with_source_in(experiment, runs)
    finished = []
    for fold in range(n_folds):
        console.print(f"Fold {fold + 1} of {n_folds}", style="bold")
        path = runs / name / f"fold-{fold + 1}"
        if is_resumed and path.exists():
            finished.append(_fold_again(experiment, registry, path, (fold, n_folds), console))
        else:
            finished.append(_run_once(experiment, registry, path.parent, path.name, (fold, n_folds), console))
    figures = [run.metrics().test for run in finished]
    summary: dict[str, Any] = {}
    for scorer, by_label in figures[0].items():
        values = {label: [figure[scorer][label] for figure in figures] for label in by_label}
        summary[scorer] = {
            label: {"mean": statistics.fmean(measured), "deviation": statistics.stdev(measured), "folds": measured}
            for label, every in values.items()
            if len(measured := [figure for figure in every if figure is not None]) == n_folds
        }
    write_json(runs / name / "folds.json", {"test": summary, "n_folds": n_folds})
    _print_summary(summary, n_folds, console)
    console.print(f"Folds: {runs / name}", highlight=False)


def _with_source_in(experiment: Experiment, runs: Path) -> Experiment:
    """The experiment with the run that it starts from as a path: folds lie one level deeper than runs."""
    first, *others = experiment.stages
    if not first.from_run or not (runs / first.from_run).exists():
        return experiment
    first = first.model_copy(update={"from_run": str(runs / first.from_run)})
    return experiment.model_copy(update={"stages": [first, *others]})


def _fold_again(experiment: Experiment, registry: Registry, path: Path, fold: tuple[int, int], console: Console) -> Run:
    """A fold that is finished, or one that goes on."""
    from p5core.errors import ConfigError
    from p5core.runs.create import open_run

    run = open_run(path)
    if run.fold() != fold:
        raise ConfigError(f"Run {path} is no fold {fold[0] + 1} of {fold[1]}. Resume with the same --folds.")
    return run if run.is_sealed() else _resume(experiment, registry, path, console)


def _print_summary(summary: dict[str, Any], n_folds: int, console: Console) -> None:
    from rich.table import Table

    table = Table(title=f"Test, mean ± standard deviation over {n_folds} folds")
    table.add_column("metric")
    for scorer in summary:
        table.add_column(scorer, justify="right")
    for label in summary["model"]:
        cells = [by_label.get(label) for by_label in summary.values()]
        table.add_row(
            label, *(f"{result['mean']:.4f} ± {result['deviation']:.4f}" if result else "–" for result in cells)
        )
    console.print(table)


def print_figures(run: Run, console: Console) -> None:
    """Print the test figures of a finished run, its protocol and where it lies."""
    from p5core.cli.tables import stored_table

    metrics = run.metrics()
    console.print(stored_table(metrics, "test", f"Test, {metrics.n_test_users:,} users"))
    console.print(metrics.protocol, highlight=False)
    console.print(
        f"{metrics.n_parameters:,} parameters, trained in {metrics.train_seconds:.0f} s. Run: {run.path}",
        highlight=False,
    )


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--metric", "metrics", multiple=True, help="Metric to compute instead, such as ndcg@20; repeatable.")
@click.option(
    "--candidates", type=click.IntRange(min=0), help="Number of sampled items to rank against; 0: the whole catalogue."
)
@click.option("--keep-seen", is_flag=True, help="Rank items of the history as well.")
@click.option("--part", type=click.Choice(["test", "validation"]), default="test", show_default=True)
@click.pass_obj
def evaluate(
    registry: Registry, run: Path, metrics: tuple[str, ...], candidates: int | None, keep_seen: bool, part: str
) -> None:
    """Evaluate a finished RUN again, beside its baselines."""
    from rich.console import Console

    from p5core.evaluation.report import results_table
    from p5core.runs.create import open_run
    from p5core.workflows.evaluate_run import evaluate_run

    changes: dict[str, Any] = {"exclude_seen": False} if keep_seen else {}
    if candidates is not None:
        changes["candidates"] = candidates
    evaluation, sentences = evaluate_run(open_run(run), registry, changes, list(metrics))
    console = Console()
    for sentence in sentences:
        console.print(sentence, highlight=False)
    console.print(results_table(evaluation.results[part], evaluation.metrics, f"{part} of {run.name}"))
    console.print(evaluation.note, highlight=False)
