"""`p5 pretrain`, `p5 finetune` and `p5 transfer`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from p5core.cli.run import print_figures
from p5core.plugins.registry import Registry

__all__ = ["finetune", "pretrain", "transfer"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("base", metavar="BASE", type=click.Path(path_type=Path))
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the file.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--name", help="Name of the run that is trained; default: the file's name.")
@click.option("--licence", default="", help="Licence of the weights, for their card.")
@click.option("--keep-items", is_flag=True, help="Keep the items' own vectors, with their ids and titles.")
@click.pass_obj
def pretrain(
    registry: Registry,
    file: Path,
    base: Path,
    assignments: tuple[str, ...],
    runs: Path,
    name: str | None,
    licence: str,
    keep_items: bool,
) -> None:
    """Train the experiment FILE, or go on with it, and write its weights to the folder BASE.

    A base holds no events and no users; 'p5 finetune --from BASE' starts from it.
    """
    from rich.console import Console

    from p5core.cli.display import Terminal
    from p5core.config.document import load_experiment
    from p5core.runs.names import to_run_name
    from p5core.transfer import pretrain as workflow

    console = Console()
    experiment = load_experiment(file, assignments)
    made = workflow.pretrain(
        experiment,
        base,
        runs,
        name or to_run_name(file.stem),
        registry,
        Terminal(console),
        licence=licence,
        keep_items=keep_items,
    )
    click.echo(f"Wrote the base {made.path}. Start from it: p5 finetune experiment.toml --from {made.path}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "source", metavar="RUN or BASE", help="Start from the weights of a finished run or a base.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the file.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--name", help="Name of the better run; default: the file's name.")
@click.option("--resume", "is_resumed", is_flag=True, help="Resume what was stopped.")
@click.pass_obj
def finetune(
    registry: Registry,
    file: Path,
    source: str | None,
    assignments: tuple[str, ...],
    runs: Path,
    name: str | None,
    is_resumed: bool,
) -> None:
    """Train the experiment FILE from pre-trained weights and from scratch, and keep the better one.

    The better one on validation events gets the name; the other stays beside it.
    """
    from rich.console import Console

    from p5core.cli.display import Terminal
    from p5core.config.document import load_experiment
    from p5core.runs.names import to_run_name
    from p5core.transfer.finetune import finetune as train_both

    console = Console()
    start = () if source is None else (f"stages.0.from={json.dumps(source)}",)
    experiment = load_experiment(file, (*assignments, *start))
    made = train_both(
        experiment, runs, name or to_run_name(file.stem), registry, Terminal(console), is_resumed=is_resumed
    )
    print_figures(made.run, console)
    click.echo(made.sentence)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "source", metavar="RUN or BASE", help="Pre-trained weights: a finished run or a base.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override an option of the file.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the figures; default: transfer/FILE.")
@click.option("--share", "shares", type=float, multiple=True, help="Share of the users, 0 to 1; default: five.")
@click.option("--seeds", "n_seeds", type=click.IntRange(1), default=3, show_default=True, help="Number of seeds.")
@click.pass_obj
def transfer(
    registry: Registry,
    file: Path,
    source: str | None,
    assignments: tuple[str, ...],
    runs: Path,
    out: Path | None,
    shares: tuple[float, ...],
    n_seeds: int,
) -> None:
    """Measure what pre-trained weights give the experiment FILE, with few of its users and with all.

    Each share of the users trains the network from scratch and from the weights, beside every scorer that FILE names;
    all are measured on all test users. A command that was stopped goes on where it was.
    """
    from rich.console import Console

    from p5core.config.document import load_experiment
    from p5core.runs.names import to_run_name
    from p5core.transfer.protocol import SHARES, TransferPlan, measure_transfer
    from p5core.transfer.results import TransferResults

    console = Console()
    start = () if source is None else (f"stages.0.from={json.dumps(source)}",)
    experiment = load_experiment(file, (*assignments, *start))
    folder = out or Path("transfer") / to_run_name(file.stem)
    plan = TransferPlan(experiment, folder, runs, shares or SHARES, n_seeds)
    cells = measure_transfer(plan, registry, lambda text: console.print(text, highlight=False))
    results = TransferResults.of(cells, experiment, registry)
    results.write(folder)
    click.echo(results.table())
    for gain in results.gains():
        click.echo(gain.sentence)
    click.echo(f"Wrote table.md, figures.json and figures.png into {folder}.")
