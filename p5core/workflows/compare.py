"""Comparison of finished runs by their stored values of each test user, and the controls of pre-trained ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from safetensors.numpy import load_file

from p5core.data.columns import USER
from p5core.errors import RunError
from p5core.evaluation.metric_results import choose_metrics
from p5core.evaluation.segments import Traits, user_traits
from p5core.evaluation.significance import Comparison, UserValues, compare

if TYPE_CHECKING:
    from p5core.config.experiment import Experiment
    from p5core.plugins.registry import Registry
    from p5core.runs.run import Run

__all__ = [
    "Compared",
    "Side",
    "compare_sides",
    "controls",
    "is_pretrained",
    "stored_side",
    "traits_of_run",
    "without_pretraining",
]


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison."""

    name: str
    values: Mapping[str, UserValues]
    """metric label → values of the test users"""


@dataclass(frozen=True)
class Compared:
    """Two sides in one metric."""

    label: str
    first: float
    second: float
    result: Comparison
    """the first less the second"""

    higher_is_better: bool


def stored_side(run: Run, scorer: str = "model") -> Side:
    """The stored values of a finished run's test users, by its model or a baseline; raises RunError."""
    run.verify("metrics.json", "per_user.safetensors", "data/target/users.parquet")
    stored = load_file(run.path / "per_user.safetensors")
    labels = [name.split("/")[1] for name in stored if name.startswith(f"{scorer}/") and name.count("/") == 1]
    if not labels:
        scorers = sorted({name.split("/")[0] for name in stored if "/" in name})
        raise RunError(f"Run {run.path} has no values of '{scorer}'. It was evaluated with: {', '.join(scorers)}.")
    ids = pd.read_parquet(run.data / "target" / "users.parquet", columns=[USER])[USER].to_numpy()[stored["users"]]
    values = {
        label: UserValues(ids, stored[f"{scorer}/{label}"], stored.get(f"{scorer}/{label}/weights")) for label in labels
    }
    return Side(run.name if scorer == "model" else f"{run.name}: {scorer}", values)


def traits_of_run(run: Run, registry: Registry) -> Traits:
    """Traits of the test users of a run, in the order of `per_user.safetensors`."""
    from p5core.fitting.trained_model import load_run_data

    target = load_run_data(run, registry).target
    return user_traits(target.split, target.dataset)


def compare_sides(registry: Registry, first: Side, second: Side, resamples: int, seed: int) -> list[Compared]:
    """Compare two sides in every metric of both; raises RunError when they share none, or their users differ."""
    shared = [label for label in first.values if label in second.values]
    if not shared:
        raise RunError(
            f"{first.name} and {second.name} have no metric in common. Measure both with the same [evaluate] metrics."
        )
    compared = []
    for metric in choose_metrics(registry, shared):
        first_values, other = first.values[metric.label], second.values[metric.label]
        result = compare(metric, first_values, other, resamples, seed)
        means = [metric.reduce(side.values, side.weights) for side in (first_values, other)]
        compared.append(Compared(metric.label, means[0], means[1], result, metric.higher_is_better))
    return compared


def is_pretrained(experiment: Experiment) -> bool:
    """True if other stages, or another run, precede the last stage."""
    return len(experiment.stages) > 1 or bool(experiment.stages[0].from_run)


def without_pretraining(experiment: Experiment) -> Experiment:
    """The experiment with its last stage alone, from random weights."""
    last = experiment.stages[-1].model_copy(update={"from_run": ""})
    return experiment.model_copy(update={"stages": [last]})


def controls(run: Run, others: Iterable[Run]) -> list[Run]:
    """Those of the `others` that can stand as the from-scratch control of a run.

    They have the data, preparation, split, seed and measuring of the run and no pre-training; those with its model
    come first.
    """
    experiment = run.experiment()
    candidates = [
        (candidate, other)
        for candidate in others
        if candidate.path != run.path and _same_test(experiment, other := candidate.experiment())
    ]
    from_scratch = [(result, other) for result, other in candidates if not is_pretrained(other)]
    return [candidate for candidate, _ in sorted(from_scratch, key=lambda pair: pair[1].model != experiment.model)]


def _same_test(mine: Experiment, other: Experiment) -> bool:
    sections = ("data", "prepare", "split", "seed", "evaluate")
    return all(getattr(mine, section) == getattr(other, section) for section in sections)
