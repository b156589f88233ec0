"""Measuring the model of an experiment and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from p5core.config.experiment import EvaluateConfig, Experiment
from p5core.contracts.scorer import Scorer
from p5core.data.split import Holdout
from p5core.evaluation.baselines import Popularity
from p5core.evaluation.evaluator import Evaluator, domain_items
from p5core.evaluation.item_statistics import item_statistics
from p5core.evaluation.metric_results import MetricResult, choose_metrics
from p5core.evaluation.report import protocol_note
from p5core.model.item_knn import Neighbours
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.plugins.registry import Registry
from p5core.runs.logger import Log
from p5core.training.loop import StopRequestedError
from p5core.training.stages import StageData
from p5core.workflows.experiment_data import ExperimentData

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Evaluation", "evaluate_all", "make_evaluator", "per_user", "validation_sample"]


def validation_sample(holdout: Holdout, experiment: Experiment) -> Holdout:
    """The users of each validation while training; the same ones each time."""
    n = experiment.evaluate.validation_users
    return holdout.sample(n, np.random.default_rng(experiment.seed)) if n else holdout


def make_evaluator(
    experiment: Experiment,
    registry: Registry,
    stage_data: StageData,
    labels: list[str],
    holdout: Holdout,
    log: Log | None = None,
) -> Evaluator:
    """Who measures `labels` on one holdout, as the experiment says; StopRequestedError when `log` asks to stop."""

    def check() -> None:
        if log is None:
            return
        log.evaluating()
        if log.stop_requested():
            raise StopRequestedError

    statistics = item_statistics(stage_data.split.train, stage_data.dataset.n_items)
    return Evaluator(
        holdout,
        statistics,
        choose_metrics(registry, labels),
        experiment.evaluate,
        domain_items(stage_data.dataset),
        experiment.model.max_length,
        experiment.seed,
        check,
    )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """MetricResults of the model and its baselines on both holdouts."""

    figures: Mapping[str, Mapping[str, Mapping[str, MetricResult]]]
    """"test" or "validation" → scorer → metric label → figure"""

    metrics: list[Any]
    note: str
    """what the figures compare, in a sentence"""


def evaluate_all(
    network: Network, data: ExperimentData, registry: Registry, labels: list[str], log: Log | None = None
) -> Evaluation:
    """Measure the model beside its baselines on validation and test events; stops when `log` asks for it."""
    experiment, stage_data = data.experiment, data.target
    scorers = _scorers(network, experiment.evaluate, stage_data, experiment.model.max_length)
    figures: dict[str, dict[str, dict[str, MetricResult]]] = {}
    for part in ("validation", "test"):
        evaluator = make_evaluator(experiment, registry, stage_data, labels, getattr(stage_data.split, part), log)
        figures[part] = {name: evaluator.figures(scorer) for name, scorer in scorers.items()}
    metrics = choose_metrics(registry, labels)
    note = protocol_note(metrics, experiment.evaluate.candidates, experiment.evaluate.exclude_seen)
    return Evaluation(figures, metrics, note)


def _scorers(network: Network, config: EvaluateConfig, stage_data: StageData, max_length: int) -> dict[str, Scorer]:
    train, n_items = stage_data.split.train, stage_data.dataset.n_items
    scorers: dict[str, Scorer] = {"model": NetworkScorer(network, max_length)}
    if "popularity" in config.baselines:
        scorers["popularity"] = Popularity.fit(train, n_items)
    if "neighbours" in config.baselines:
        counting = None if network.memory is None else network.memory.counting
        scorers["neighbours"] = Neighbours.fit(train, n_items, counting)
    return scorers


def per_user(evaluation: Evaluation, data: ExperimentData) -> dict[str, Tensor]:
    """What a paired test of two runs needs: test users and the value of each."""

    found = {"users": torch.from_numpy(data.target.split.test.users)}
    for scorer, by_label in evaluation.figures["test"].items():
        for label, figure in by_label.items():
            if figure.values is not None:
                found[f"{scorer}/{label}"] = torch.from_numpy(figure.values)
            if figure.weights is not None:
                found[f"{scorer}/{label}/weights"] = torch.from_numpy(figure.weights)
    return found
