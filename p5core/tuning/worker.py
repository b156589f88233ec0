"""One process of a search: it prepares the data once and runs trial after trial."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from p5core.config.document import dump_experiment, with_values
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import RunEvent, StageEvent, ValidationEvent
from p5core.data.storage import dataset_hash
from p5core.errors import P5Error, TrainingError
from p5core.fitting.experiment_data import gather
from p5core.fitting.fit import run_trial
from p5core.fitting.search_space import narrow, search_space, short_names
from p5core.fitting.source import open_source
from p5core.model.features import FeatureCache, compute_features
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.system.text import clock, shown_value
from p5core.training.defaults import watched_metric
from p5core.training.memory import advised
from p5core.tuning.study import Study, position

__all__ = ["Plan", "TrialLog", "Worker"]


@dataclass(frozen=True)
class Plan:
    """The request of a search."""

    experiment: Experiment
    folder: Path
    """of the search"""

    runs: Path
    """folder of runs for a warm start"""

    n_trials: int
    n_processes: int = 1
    only: Sequence[str] = ()
    """options to tune; empty takes all"""


class Worker:
    """Runs trials of a plan, all on the same data and split."""

    def __init__(self, plan: Plan, registry: Registry) -> None:
        """Prepare the data; raises P5Error for what is wrong with the experiment, before anything is written."""
        source = plan.experiment.stages[0].from_run
        self.plan, self.registry = plan, registry
        self.known = open_source(source, plan.runs) if source else None
        known_data = self.known.dataset() if self.known else None
        known_features = self.known.features() if self.known else None
        self._features = FeatureCache(plan.folder / "features", known_features)
        self.data = gather(
            plan.experiment.without_probe(), registry, known_data, cache=FeatureCache(base=known_features)
        )
        self.experiment = self.data.experiment
        self.options = narrow(search_space(self.experiment, registry), plan.only)
        self.watch = watched_metric(self.experiment.stages[-1], registry)

    def study(self) -> Study:
        """The study in the plan's folder, which must exist."""
        n_epochs = sum(stage.epochs for stage in self.experiment.stages)
        higher, seed = self.watch.higher_is_better, self.experiment.seed
        options = json.dumps([option.to_dict() for option in self.options])
        anchor = hashlib.sha256(f"{dump_experiment(self.experiment)}{options}{self._data_hash()}".encode()).hexdigest()
        folder = self.plan.folder
        return Study(folder, self.options, seed, higher_is_better=higher, n_epochs=n_epochs, anchor=anchor)

    def _data_hash(self) -> str:
        """Hex SHA-256 of all data that trials use, and of their split."""
        digest = hashlib.sha256()
        for part, roles in zip(self.data.parts, self.data.roles, strict=True):
            digest.update(dataset_hash(part.dataset).encode())
            digest.update(np.ascontiguousarray(roles).tobytes())
        return digest.hexdigest()

    def work(self, say: Callable[[str], None]) -> None:
        """Run trials until there are as many as planned, and say one line about each."""
        study = self.study()
        while (trial := study.claim(self.plan.n_trials)) is not None:
            self._run(trial, study)
            say(self._line(trial.number, study))

    def _run(self, trial: Trial, study: Study) -> None:
        place = Run(self.plan.folder / "trials" / str(trial.number))
        try:
            place.checkpoints.mkdir(parents=True, exist_ok=True)
            with advised("Lower the upper end of the range of model.width or of token_budget."):
                value = self._value(trial, place)
            study.finish(trial, value)
        except optuna.TrialPruned:
            study.prune(trial)
        except P5Error as error:
            study.fail(trial, str(error))
        except BaseException:
            study.give_back(trial)
            raise
        finally:
            shutil.rmtree(place.path, ignore_errors=True)

    def _value(self, trial: Trial, place: Run) -> float:
        experiment = with_values(self.experiment, {option.key: option.suggest(trial) for option in self.options})
        log = TrialLog(trial, self.watch.label, [stage.epochs for stage in experiment.stages])
        features = compute_features(experiment, self.registry, self.data.target.dataset, self._features)
        data = replace(self.data, experiment=experiment, features=features)
        value = run_trial(data, self.registry, place.checkpoints, log, self.known)
        if not math.isfinite(value):
            raise TrainingError(f"{self.watch.label} is {value} on validation events.")
        return value

    def _line(self, number: int, study: Study) -> str:
        """One trial in a line: "3 of 20 (trial 2): ndcg@10 0.0512; best 0.0550 (trial 0); 12 s, 0:04:10 left; ..."."""
        ended, best = study.ended(), study.best_first()
        trial = next(finished for finished in ended if finished.number == number)
        seconds = [finished.duration.total_seconds() for finished in ended if finished.duration]
        n_left = self.plan.n_trials - len(ended)
        left = sum(seconds) / len(seconds) * n_left / max(1, min(self.plan.n_processes, n_left))
        names = short_names([option.key for option in self.options])
        return "; ".join(
            [
                f"{len(ended)} of {self.plan.n_trials} (trial {position(trial)}): {self._outcome(trial)}",
                f"best {best[0].value:.4f} (trial {position(best[0])})" if best else "none complete yet",
                f"{seconds[ended.index(trial)]:.0f} s, {clock(left)} left",
                ", ".join(f"{names[key]} {shown_value(value)}" for key, value in trial.params.items()),
            ]
        )

    def _outcome(self, trial: FrozenTrial) -> str:
        if trial.state == TrialState.FAIL:
            return f"failed: {trial.user_attrs['reason']}"
        if trial.state == TrialState.PRUNED:
            return f"{self.watch.label} {trial.value:.4f}, pruned after epoch {trial.last_step}"
        return f"{self.watch.label} {trial.value:.4f}"


class TrialLog:
    """Reports the validations of a trial to Optuna; nothing is shown."""

    def __init__(self, trial: Trial, label: str, epochs: Sequence[int]) -> None:
        """Follow the metric `label` through stages of so many `epochs`."""
        self.trial = trial
        self._label, self._epochs = label, epochs
        self._epochs_before = 0

    def event(self, event: RunEvent) -> None:
        """Report a validation; raises optuna.TrialPruned when the trial is worse than most were at that epoch."""
        if isinstance(event, StageEvent):
            self._epochs_before = sum(self._epochs[: event.finished])
        if isinstance(event, ValidationEvent) and event.epoch and self._label in event.metrics:
            self.trial.report(event.metrics[self._label], self._epochs_before + event.epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def say(self, text: str) -> None:
        """A trial is reported in one line, when it has ended."""

    def working(self) -> None:
        """Nobody looks at a single trial."""

    def stop_requested(self) -> bool:
        """A trial is interrupted at once: nothing of it is kept."""
        return False
