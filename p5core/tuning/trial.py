"""One trial of a search: an experiment trained without a run."""

from __future__ import annotations

from pathlib import Path

from p5core.plugins.registry import Registry
from p5core.runs.logger import Logger
from p5core.training.defaults import watched_metric
from p5core.training.engine import Engine
from p5core.workflows.evaluate import make_evaluator, validation_sample
from p5core.workflows.experiment_data import ExperimentData
from p5core.workflows.source import Pretrained, start_from
from p5core.workflows.train import blend_with_scorers, fit_all
from p5core.workflows.trained_model import new_network

__all__ = ["run_trial"]


def run_trial(
    data: ExperimentData, registry: Registry, checkpoints: Path, logger: Logger, source: Pretrained | None = None
) -> float:
    """Train as the experiment says; returns the last stage's watched metric on validation events.

    Only checkpoints are written, and test events are not looked at. `source` is the run or base to start from.
    """
    experiment = data.experiment
    engine = Engine(experiment.device, experiment.precision)
    network = new_network(data, registry)
    if source:
        start_from(network, data.target.dataset, source, registry, experiment.stages[0].match)
    fit_all(checkpoints, data, network, registry, logger, engine)
    model = blend_with_scorers(network, data, registry, logger)
    watch = watched_metric(experiment.stages[-1], registry)
    users = validation_sample(data.target.split.validation, experiment)
    evaluator = make_evaluator(experiment, registry, data.target, [watch.label], users)
    return evaluator.values(model.scorer())[watch.label]
