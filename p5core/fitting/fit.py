"""Training a network on the data of an experiment, and blending it with scorers; nothing of a run is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from p5core.fitting.evaluate import make_evaluator, validation_sample
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.source import Pretrained, start_from
from p5core.fitting.trained_model import TrainedModel, new_network
from p5core.model.blend import Blend
from p5core.model.build import serving_tasks
from p5core.model.network import Network
from p5core.plugins.registry import Registry
from p5core.runs.logger import Logger
from p5core.training.blending import Fit, choose_blend
from p5core.training.defaults import metric_refs, watched_metric
from p5core.training.engine import Engine
from p5core.training.loop import Callback
from p5core.training.stages import StageEvaluator, fit

__all__ = ["blend_with_scorers", "fit_all", "run_trial", "stage_evaluators"]

BLENDING_USERS = 20_000
"""Validation users at most by whom a blend is chosen."""

BLENDING_SCORES = 2_000_000_000
"""Scores of theirs at most: with very many items fewer users decide."""


def fit_all(
    checkpoints: Path,
    data: ExperimentData,
    network: Network,
    registry: Registry,
    callback: Callback,
    engine: Engine,
) -> float:
    """Train all stages; returns the seconds it took."""
    evaluators = stage_evaluators(data, registry)
    return fit(network, data.experiment, registry, data.target, data.stages, evaluators, checkpoints, callback, engine)


def stage_evaluators(data: ExperimentData, registry: Registry) -> list[StageEvaluator]:
    """The validation of each stage, with the metric to watch."""
    experiment = data.experiment
    tasks = serving_tasks(experiment, registry)
    evaluators = []
    for stage, stage_data in zip(experiment.stages, data.stages, strict=True):
        watch = watched_metric(stage, registry)
        metrics = [*metric_refs(experiment, registry, [stage]), watch.label]
        of_sources = [
            make_evaluator(
                experiment, registry, source, metrics, validation_sample(source.split.validation, experiment)
            )
            for source in stage_data
        ]
        evaluators.append(StageEvaluator(of_sources, watch, tasks))
    return evaluators


def blend_with_scorers(network: Network, data: ExperimentData, registry: Registry, logger: Logger) -> TrainedModel:
    """Choose on validation events how the network is blended with the scorers that the experiment names."""
    experiment, target = data.experiment, data.target
    blend: Blend | None = None
    if experiment.model.scorers:
        watch = watched_metric(experiment.stages[-1], registry)
        n_users = min(BLENDING_USERS, BLENDING_SCORES // target.dataset.n_items)
        holdout = target.split.validation.sample(n_users, np.random.default_rng(experiment.seed))
        evaluator = make_evaluator(experiment, registry, target, [watch.label], holdout, logger)
        chosen = [registry.choose("scorer", spec, place) for place, spec in experiment.model.scorers.items()]
        fit = Fit(target.split.train, target.dataset.catalogue, evaluator, watch, logger.say)
        blend = choose_blend(network, chosen, fit, alone=experiment.model.scorer is not None)
    return TrainedModel(network, experiment.model.max_length, blend, serving_tasks(experiment, registry))


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
