"""Time and memory by number of events, number of items and length of histories.

    python bench/scaling.py [--plot docs/scaling.svg]
    python bench/scaling.py --largest

Each row is a process of its own: it draws a synthetic log, prepares and splits it, trains one epoch with sampled
softmax, ranks 2,000 users over all items, and says what each part took and the peak of its memory. The exponent b of
seconds ~ size^b is fitted over the three sizes of a group: 1 is linear. `--largest` runs 1,000,000 items and 10,000,000
events alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import RunEvent
from p5core.data.ingest.prepare import prepare
from p5core.evaluation.splitting import split_dataset
from p5core.fitting.evaluate import make_evaluator
from p5core.model.build import build_network
from p5core.model.features import compute_features
from p5core.model.network_scorer import NetworkScorer
from p5core.plugins.discovery import load_plugins
from p5core.training.defaults import watched_metric
from p5core.training.engine import Engine
from p5core.training.stages import StageData, StageEvaluator, fit

__all__: list[str] = []

PARTS = ("prepare", "train", "evaluate")
EVALUATED_USERS = 2_000


@dataclass(frozen=True)
class Size:
    """One synthetic log."""

    events: int
    items: int
    length: int
    """mean events of a user"""


GROUPS = {
    "events": [Size(n, 20_000, 50) for n in (250_000, 500_000, 1_000_000)],
    "items": [Size(500_000, n, 50) for n in (20_000, 80_000, 320_000)],
    "length": [Size(500_000, 20_000, n) for n in (25, 50, 100)],
}
LARGEST = Size(10_000_000, 1_000_000, 50)


class Nobody:
    """Follows training and never stops it."""

    def event(self, event: RunEvent) -> None:
        """Nothing is kept."""

    def stop_requested(self) -> bool:
        """Never."""
        return False


def experiment_of(size: Size) -> Experiment:
    """The measured experiment for synthetic data of a size."""
    data = {
        "name": "synthetic",
        "n_users": size.events // size.length,
        "n_items": size.items,
        "n_events": size.events,
        "n_clusters": size.items // 100,
    }
    task = {"name": "next_item", "loss": {"name": "sampled_softmax"}}
    return parse_experiment(
        {
            "data": data,
            "prepare": {"keep": "all"},
            "model": {"width": 64, "max_length": 50, "unit_items": True, "backbone": {"name": "filter"}},
            "stages": [{"epochs": 1, "tasks": [task], "token_budget": 4096}],
        }
    )


def measure(size: Size) -> dict[str, float]:
    """Seconds of each part, and the peak of memory in bytes."""
    registry, experiment = load_plugins(), experiment_of(size)
    raw = registry.choose("loader", experiment.data).build().load()
    began = time.perf_counter()
    dataset, _ = prepare(raw, experiment.prepare)
    material = StageData(dataset, split_dataset(registry, experiment.split, dataset, 0))
    prepared = time.perf_counter()
    features = compute_features(experiment, registry, dataset)
    network = build_network(experiment, registry, dataset, material.split.train, features)
    watch = watched_metric(experiment.stages[0], registry)
    users = material.split.validation.sample(EVALUATED_USERS, np.random.default_rng(0))
    nobody, evaluator = users.take(np.arange(1)), make_evaluator(experiment, registry, material, [watch.label], users)
    with tempfile.TemporaryDirectory() as folder:
        silent = StageEvaluator(evaluator.of(nobody), watch, [])
        engine = Engine(experiment.device, experiment.precision)
        trained = fit(network, experiment, registry, [material], [silent], Path(folder), Nobody(), engine)
    ranked = time.perf_counter()
    evaluator.values(NetworkScorer(network, experiment.model.max_length))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "prepare": prepared - began,
        "train": trained,
        "evaluate": time.perf_counter() - ranked,
        "peak": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit),
    }


def measured(size: Size) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(asdict(size))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{size.events:>11,} events {size.items:>10,} items {size.length:>4} a user   "
        + "   ".join(f"{part} {figures[part]:7.1f} s" for part in PARTS)
        + f"   {size.events / figures['train']:>9,.0f} events/s   peak {figures['peak'] / 2**30:.2f} GB",
        flush=True,
    )
    return figures


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """b of seconds ~ size^b, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def plot(rows: dict[str, tuple[list[float], list[dict[str, float]]]], path: Path) -> None:
    """Seconds against size, one panel a group."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(rows), figsize=(4 * len(rows), 3.2), layout="constrained")
    for panel, (name, (sizes, figures)) in zip(panels, rows.items(), strict=True):
        for part in PARTS:
            seconds = [result[part] for result in figures]
            panel.loglog(sizes, seconds, "o-", label=f"{part}, exponent {exponent(sizes, seconds):.2f}")
        panel.set(xlabel=name, ylabel="seconds")
        panel.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(Size(**json.loads(given.measure)))))
        return
    if given.largest:
        measured(LARGEST)
        return
    rows = {}
    for name, sizes in GROUPS.items():
        values = [float(getattr(size, name)) for size in sizes]
        results = [measured(size) for size in sizes]
        rows[name] = (values, results)
        fitted = ", ".join(f"{part} {exponent(values, [row[part] for row in results]):.2f}" for part in PARTS)
        print(f"exponents against {name}: {fitted}")
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
