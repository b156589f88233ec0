"""Short trainings that choose options before a run trains: successive halving (arXiv 1502.07943)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from p5core.config.base import Value
from p5core.config.document import with_values
from p5core.config.experiment import Experiment
from p5core.contracts.scorer import Scorer
from p5core.contracts.tracker import RunEvent
from p5core.errors import ConfigError, TrainingError
from p5core.evaluation.metric_results import MetricResult, measure
from p5core.evaluation.significance import UserValues, compare
from p5core.fitting.evaluate import make_evaluator, validation_sample
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.fit import fit_all
from p5core.fitting.search_space import named_keys, short_names
from p5core.fitting.trained_model import TrainedModel, new_network
from p5core.model.build import serving_tasks
from p5core.model.network import Network
from p5core.plugins.registry import Registry
from p5core.runs.documents import Trial, Trials
from p5core.runs.logger import Logger
from p5core.system.text import shown_value
from p5core.training.blending import Fit, blend_fitted, fit_alone
from p5core.training.defaults import watched_metric
from p5core.training.engine import Engine
from p5core.training.loop import Silent

__all__ = ["Probe", "Rung", "candidates", "rungs", "shown_options"]

RESAMPLES = 500
"""Of the validation users, for the standard error of a difference."""


@dataclass(frozen=True)
class Rung:
    """Candidates that are trained for the same number of epochs."""

    n_candidates: int
    n_epochs: int
    """of all stages together"""


def rungs(n_candidates: int, n_epochs: int, budget: float) -> list[Rung]:
    """From rung to rung half as many candidates for twice as many epochs, down to two.

    All trials together train for at most `budget` times the run's `n_epochs`. Where that is too little for all
    candidates the last ones are left out; empty where it is too little for two.
    """
    for n in range(n_candidates, 1, -1):
        sizes = [n]
        while sizes[-1] > 2:
            sizes.append(-(-sizes[-1] // 2))
        cost = sum(size * 2**nth for nth, size in enumerate(sizes))
        first = min(int(budget * n_epochs / cost), n_epochs // 2 ** (len(sizes) - 1))
        if first:
            return [Rung(size, first * 2**nth) for nth, size in enumerate(sizes)]
    return []


def candidates(experiment: Experiment, registry: Registry) -> list[Mapping[str, Value]]:
    """Place of an option → value, for each candidate; the experiment's own options are the first one.

    Raises ConfigError for a candidate that cannot be trained.
    """
    asked = experiment.probe.candidates
    if not asked:
        return [{}]
    if experiment.model.scorer is not None:
        raise ConfigError("probe.candidates: the model is a scorer, and nothing is trained. Leave out [probe].")
    tried: list[Mapping[str, Value]] = [{}]
    for values in asked:
        candidate = {key: value for name, value in values.items() for key in named_keys(experiment, registry, name)}
        if fixed := next((key for key in candidate if "encoders." in key), None):
            raise ConfigError(f"probe.candidates: '{fixed}' cannot be tried: the features of a run depend on it.")
        with_values(experiment, candidate)
        if candidate not in tried:
            tried.append(candidate)
    return tried


class Probe:
    """Trains the candidates of an experiment from rung to rung, and compares them on validation events."""

    def __init__(
        self,
        data: ExperimentData,
        registry: Registry,
        checkpoints: Path,
        trials: Trials,
        keep: Callable[[Trials], None],
        logger: Logger | Silent,
        engine: Engine,
    ) -> None:
        """`trials` are those that ended earlier; `keep` takes them after each one."""
        self.data, self.registry, self.checkpoints = data, registry, checkpoints
        self.trials, self.keep, self.logger, self.engine = trials, keep, logger, engine
        experiment = data.experiment
        self.watch = watched_metric(experiment.stages[-1], registry)
        self.candidates = candidates(experiment, registry)
        self.n_epochs = sum(stage.epochs for stage in experiment.stages)
        self.rungs = rungs(len(self.candidates), self.n_epochs, experiment.probe.budget)

    def choose(self) -> Mapping[str, Value]:
        """The values of the options that are best, by place; empty where the experiment's own are kept.

        A candidate must exceed them on the validation events of the last rung by more than the standard error of the
        difference.
        """
        left, ended = self.candidates, list[Trial]()
        for nth, rung in enumerate(self.rungs):
            ended = [self._trial(nth, values) for values in left[: rung.n_candidates]]
            own, *others = ended
            left = [own.values, *(trial.values for trial in sorted(others, key=self._loss))]
        best = min(ended[1:], key=self._loss, default=None)
        chosen = best.values if best is not None and self._exceeds(best, ended[0]) else {}
        self._say_chosen(chosen, ended)
        return chosen

    def _trial(self, nth: int, values: Mapping[str, Value]) -> Trial:
        """A trial of the rung `nth`, unless it ended earlier."""
        n_epochs = self.rungs[nth].n_epochs
        ended = [trial for trial in self.trials.trials if (trial.values, trial.n_epochs) == (values, n_epochs)]
        if ended:
            return ended[0]
        experiment = _shortened(with_values(self.data.experiment, values), n_epochs / self.n_epochs)
        data = replace(self.data, experiment=experiment)
        network = new_network(data, self.registry)
        folder = self.checkpoints / f"trial-{len(self.trials.trials)}"
        folder.mkdir(exist_ok=True)
        shutil.copy2(self.checkpoints / "prepared.json", folder)  # checkpoints are those of this run alone
        try:
            fit_all(folder, data, network, self.registry, _Quiet(self.logger), self.engine)
            result = self.engine.from_first(lambda: self._measured(network, experiment, nth))
        except TrainingError as error:
            if not values:
                raise
            self._tell(f"{shown_options(values)} cannot be trained with: {error}")
            result = MetricResult(float("nan"))
        trial = Trial(values=dict(values), n_epochs=n_epochs, value=_plain(result.value), **_of_users(result))
        self.trials = self.trials.model_copy(
            update={"metric": self.watch.label, "trials": [*self.trials.trials, trial]}
        )
        self.keep(self.trials)
        shutil.rmtree(folder, ignore_errors=True)
        self._say(trial)
        return trial

    def _measured(self, network: Network, experiment: Experiment, nth: int) -> MetricResult:
        """The figure of a network on validation events, in the last rung blended with the scorers as they are best.

        After few epochs many a network adds nothing to its scorers, and their blends would be equal.
        """
        is_last = nth == len(self.rungs) - 1
        blend = blend_fitted(network, self._scorers, self._fit) if is_last else None
        model = TrainedModel(network, experiment.model.max_length, blend, serving_tasks(experiment, self.registry))
        result = self._fit.evaluator.result(model.scorer())
        return measure(result, [self.watch], 0, experiment.seed)[self.watch.label]

    @cached_property
    def _fit(self) -> Fit:
        experiment, target = self.data.experiment, self.data.target
        users = validation_sample(target.split.validation, experiment)
        logger = None if isinstance(self.logger, Silent) else self.logger
        evaluator = make_evaluator(experiment, self.registry, target, [self.watch.label], users, logger)
        fit = Fit(target.split.train, target.dataset.catalogue, evaluator, self.watch, lambda _: None)
        return replace(fit, evaluator=fit.on_fewer_users())

    @cached_property
    def _scorers(self) -> list[Scorer]:
        """The scorers of the blend, each with the options that are best alone."""
        specs = self.data.experiment.model.scorers.items()
        return [fit_alone(self.registry.choose("scorer", spec, place), self._fit) for place, spec in specs]

    def _loss(self, trial: Trial) -> float:
        """The value of a trial, lower is better."""
        value = np.inf if trial.value is None else trial.value
        return -value if self.watch.higher_is_better and trial.value is not None else value

    def _exceeds(self, trial: Trial, own: Trial) -> bool:
        """True if a trial is better than that of the experiment's own options by more than the standard error."""
        if self._loss(trial) >= self._loss(own):
            return False
        if not own.of_users or not trial.of_users or own.value is None:
            return True
        first, second = _user_values(trial), _user_values(own)
        compared = compare(self.watch, first, second, RESAMPLES, self.data.experiment.seed)
        return abs(compared.difference) > (compared.high - compared.low) / (2 * 1.96)

    def _say(self, trial: Trial) -> None:
        """One trial in a line: "Trial 3 of 14: dropout 0.5, 2 epochs: ndcg@10 0.0512"."""
        n_trials, nth = sum(rung.n_candidates for rung in self.rungs), len(self.trials.trials)
        value = "undefined" if trial.value is None else f"{trial.value:.4f}"
        epochs = "1 epoch" if trial.n_epochs == 1 else f"{trial.n_epochs} epochs"
        self._tell(f"Trial {nth} of {n_trials}: {shown_options(trial.values)}, {epochs}: {self.watch.label} {value}")

    def _say_chosen(self, chosen: Mapping[str, Value], ended: list[Trial]) -> None:
        if not ended:
            self._tell(
                f"No options are tried: {self.n_epochs} epochs times the probe.budget of "
                f"{self.data.experiment.probe.budget:g} are too little for two trials."
            )
        elif chosen:
            self._tell(f"Chosen by the last {len(ended)} trials: {shown_options(chosen)}.")
        else:
            self._tell(
                "The options of the experiment are kept: no other ones are better by more than the standard error."
            )

    def _tell(self, text: str) -> None:
        if not isinstance(self.logger, Silent):
            self.logger.say(text)


class _Quiet:
    """Keeps the status of a run alive while a trial trains, and passes on that it should stop."""

    def __init__(self, logger: Logger | Silent) -> None:
        self._logger = logger

    def event(self, event: RunEvent) -> None:
        if not isinstance(self._logger, Silent):
            self._logger.working()

    def stop_requested(self) -> bool:
        return self._logger.stop_requested()


def shown_options(values: Mapping[str, Value]) -> str:
    """Options in short, such as "dropout 0.5"; those of one name and value once."""
    if not values:
        return "the options of the experiment"
    names = {key: key.rpartition(".")[2] for key in values}
    shown = dict.fromkeys(f"{names[key]} {shown_value(value)}" for key, value in values.items())
    if len(shown) > len(set(names.values())):  # one name with several values
        names = short_names(list(values))
        shown = dict.fromkeys(f"{names[key]} {shown_value(value)}" for key, value in values.items())
    return ", ".join(shown)


def _shortened(experiment: Experiment, share: float) -> Experiment:
    """The experiment with a share of the epochs of each stage, and no early stopping."""
    stages = [
        stage.model_copy(update={"epochs": max(1, round(share * stage.epochs)), "patience": 0})
        for stage in experiment.stages
    ]
    return experiment.model_copy(update={"stages": stages})


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _of_users(result: MetricResult) -> dict[str, Any]:
    """The figures of the users and their weights as a document holds them."""
    of_users = [] if result.values is None else [_plain(value) for value in result.values]
    weights = [] if result.weights is None else [float(weight) for weight in result.weights]
    return {"of_users": of_users, "weights": weights}


def _user_values(trial: Trial) -> UserValues:
    values = np.array([np.nan if value is None else value for value in trial.of_users])
    return UserValues(np.arange(len(values)), values, np.array(trial.weights) if trial.weights else None)
