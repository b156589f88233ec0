"""`p5 demo`."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p5core.cli.display import Terminal
    from p5core.config.experiment import Experiment
    from p5core.plugins.registry import Registry
    from p5core.runs.run import Run

__all__ = ["DEMO", "demo"]

DEMO = """
[data]
name = "movielens"

[prepare]
min_user_events = 5
min_item_events = 5

[split]
name = "leave_one_out"

[model]
width = 64
max_length = 100
dropout = 0.3
unit_items = true
encoders = [{ name = "id" }, { name = "categories", columns = ["genres"] }]
backbone = { name = "filter", n_layers = 2, dropout = 0.3 }
blend = [{ name = "cooccurrence", content = "all", n_neighbours = 100 }]

[[stages]]
name = "pretrain"
tasks = [{ name = "masked_item" }]
epochs = 8
validate_every = 4
optimiser = { learning_rate = 2e-3 }

[[stages]]
name = "finetune"
tasks = [{ name = "next_item" }]
epochs = 20
validate_every = 5
optimiser = { learning_rate = 2e-3 }

[evaluate]
metrics = ["hr@10", "ndcg@10", "mrr@10", "coverage@10", "novelty@10"]
"""


@click.command()
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.pass_obj
def demo(registry: Registry, runs: Path) -> None:
    """Train on MovieLens-100K, evaluate beside baselines, and recommend."""
    from rich.console import Console

    from p5core.cli.display import Terminal
    from p5core.cli.recommend import recommendation_table
    from p5core.cli.run import print_figures
    from p5core.config.document import parse_experiment
    from p5core.runs.create import replace_run
    from p5core.runs.lock import alone_in
    from p5core.system.signals import stopped_with
    from p5core.workflows.recommend import Recommender

    console = Console()
    unfinished = runs / ".demo"
    unfinished.mkdir(parents=True, exist_ok=True)
    experiment = parse_experiment(tomllib.loads(DEMO), "demo")
    with alone_in(unfinished), stopped_with("Stopped; 'p5 demo' goes on from what was saved."):
        new = _trained(experiment, unfinished, registry, Terminal(console))
        finished = replace_run(new.path, runs / "demo")
        shutil.rmtree(unfinished)
    print_figures(finished, console)
    recommender = Recommender.load(finished.path, registry)
    user = 1
    latest = ", ".join(str(title) for _, title in recommender.history(user)[-3:])
    console.print(f"User {user} last watched {latest}.", highlight=False)
    console.print(recommendation_table(recommender.recommend_user(user, 5, n_reasons=2), f"For user {user}"))


def _trained(experiment: Experiment, runs: Path, registry: Registry, display: Terminal) -> Run:
    """The finished run of the demo: a stopped one goes on, if it is of the same experiment."""
    from p5core.runs.create import open_run
    from p5core.workflows import train

    path = runs / "demo"
    if _is_usable(path, experiment, registry):
        run = open_run(path)
        return run if run.is_sealed() else train.resume(run, registry, display)
    shutil.rmtree(path, ignore_errors=True)
    return train.run(experiment, runs, "demo", registry, None, display)


def _is_usable(path: Path, experiment: Experiment, registry: Registry) -> bool:
    """True for a run of this experiment, finished or not, that is not damaged."""
    from p5core.errors import P5Error
    from p5core.runs.create import open_run
    from p5core.workflows import train

    try:
        run = open_run(path)
        if run.is_sealed():
            run.verify()
        return train.is_experiment_of(experiment, run, registry)
    except P5Error:
        return False
