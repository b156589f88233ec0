"""The control of a pre-trained run: the same experiment without pre-training."""

from __future__ import annotations

from collections.abc import Iterable

from p5core.config.experiment import Experiment
from p5core.runs.run import Run

__all__ = ["controls", "is_pretrained", "without_pretraining"]


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
