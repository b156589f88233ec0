"""Evaluating the model of an experiment beside its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from p5core.config.base import PartRef, PartSpec
from p5core.config.experiment import Experiment
from p5core.contracts.metric import Metric
from p5core.contracts.scorer import HistoryScorer
from p5core.data.holdout import Holdout
from p5core.data.ids import ItemIds
from p5core.evaluation.evaluator import Evaluator
from p5core.evaluation.item_statistics import item_statistics
from p5core.evaluation.metric_results import MetricResult, choose_metrics
from p5core.evaluation.report import protocol_note
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.trained_model import TrainedModel
from p5core.plugins.registry import Registry
from p5core.runs.logger import Logger
from p5core.system.messages import Message
from p5core.training.defaults import baseline_labels, predicted_fields
from p5core.training.loop import StopRequestedError
from p5core.training.stages import StageData

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Evaluation",
    "evaluate_all",
    "make_evaluator",
    "per_user",
    "validation_sample",
]


def validation_sample(holdout: Holdout, experiment: Experiment) -> Holdout:
    """The users of each validation while training; the same ones each time."""
    n = experiment.evaluate.validation_users
    return holdout.sample(n, np.random.default_rng(experiment.seed)) if n else holdout


def make_evaluator(
    experiment: Experiment,
    registry: Registry,
    stage_data: StageData,
    metrics: Sequence[PartRef],
    holdout: Holdout,
    logger: Logger | None = None,
) -> Evaluator:
    """The evaluator of one holdout, as the experiment says; it raises StopRequestedError when `logger` asks to stop."""

    def check() -> None:
        if logger is None:
            return
        logger.working()
        if logger.stop_requested():
            raise StopRequestedError

    ids = ItemIds.of(stage_data.dataset)
    return Evaluator(
        holdout,
        item_statistics(stage_data.split.train, stage_data.dataset.n_items),
        choose_metrics(registry, metrics),
        experiment.evaluate,
        None if ids.is_whole else ids.codes,
        experiment.model.max_length,
        predicted_fields(experiment, registry),
        experiment.seed,
        check,
    )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of the model and its baselines on both holdouts."""

    results: Mapping[str, Mapping[str, Mapping[str, MetricResult]]]
    """"test" or "validation" → scorer → metric label → result"""

    metrics: Sequence[Metric]
    note: Message
    """the protocol of the figures, in a sentence"""


def evaluate_all(
    model: TrainedModel,
    data: ExperimentData,
    registry: Registry,
    metrics: Sequence[PartRef],
    logger: Logger | None = None,
) -> Evaluation:
    """Measure the model beside its baselines on validation and test events; stops when `logger` asks for it."""
    experiment, stage_data = data.experiment, data.target
    scorers = _scorers(model, experiment, registry, stage_data)
    results: dict[str, dict[str, dict[str, MetricResult]]] = {}
    for part in ("validation", "test"):
        evaluator = make_evaluator(experiment, registry, stage_data, metrics, getattr(stage_data.split, part), logger)
        results[part] = {name: evaluator.results(scorer) for name, scorer in scorers.items()}
    built = choose_metrics(registry, metrics)
    note = protocol_note(built, experiment.evaluate.candidates, experiment.evaluate.exclude_seen)
    return Evaluation(results, built, note)


def _scorers(
    model: TrainedModel, experiment: Experiment, registry: Registry, stage_data: StageData
) -> dict[str, HistoryScorer]:
    """The model and its baselines, fitted to the training events."""
    scorers: dict[str, HistoryScorer] = {"model": model.scorer()}
    blended = {} if model.blend is None else {fitted.name: fitted for fitted in model.blend.scorers}
    refs = experiment.evaluate.baselines
    for label, ref in zip(baseline_labels(refs), refs, strict=True):
        chosen = registry.choose("scorer", ref, "evaluate.baselines")
        name, config = chosen.part.name, chosen.config
        if name in blended and not PartSpec.of(ref).options:
            config = chosen.part.baseline_config(blended[name].config)
        scorer = chosen.part(config)
        scorer.fit(stage_data.split.train, stage_data.dataset.catalogue)
        scorers[label] = scorer
    return scorers


def per_user(evaluation: Evaluation, data: ExperimentData) -> dict[str, Tensor]:
    """The arrays that a paired test of two runs needs: test users and the value of each."""
    arrays = {"users": torch.from_numpy(data.target.split.test.users)}
    for scorer, by_label in evaluation.results["test"].items():
        for label, result in by_label.items():
            if result.values is not None:
                arrays[f"{scorer}/{label}"] = torch.from_numpy(result.values)
            if result.weights is not None:
                arrays[f"{scorer}/{label}/weights"] = torch.from_numpy(result.weights)
    return arrays
