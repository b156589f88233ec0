"""The trials of a search, in a journal that several processes share."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from p5core.fitting.search_space import Option
from p5core.system.processes import born, lives
from p5core.tuning.journal import Journal

__all__ = ["Study", "position"]

MOST_KILLS = 3
"""Times that a process may die in a trial; what kills it, such as too little memory, would kill the next one too."""

TRIALS_BEFORE_PRUNING = 4
TRIALS_BEFORE_IMPORTANCES = 10


class Study:
    """Trials over some options, of which the best has the highest or the lowest value.

    The first trial takes the experiment's own values. Draws depend on the seed, the position of the trial and those
    before it, so that a search that was interrupted or killed goes on as if it had not been.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[Option],
        seed: int,
        *,
        higher_is_better: bool,
        n_epochs: int,
        anchor: str = "",
    ) -> None:
        """Open the study in `folder`, or begin it; trials of up to `n_epochs` epochs are pruned after a quarter.

        `anchor` stands for what is searched, on which data: a study with another one is refused.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.options = options
        self.higher_is_better = higher_is_better
        self._seed = seed
        self._lock = FileLock(folder / "claim.lock")
        self._study = optuna.create_study(
            storage=JournalStorage(Journal(folder / "journal.log", anchor)),
            study_name="tune",
            direction="maximize" if higher_is_better else "minimize",
            pruner=optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING, n_warmup_steps=n_epochs // 4),
            load_if_exists=True,
        )

    def claim(self, n_trials: int) -> Trial | None:
        """Begin a trial; None when `n_trials` are finished or under way, in all processes together."""
        with self._lock:
            self._end_lost(_has_lost_its_process)
            trials = self._study.get_trials(deepcopy=False)
            taken = {position(begun) for begun in trials if _counts(begun)}
            if len(taken) >= n_trials:
                return None
            place = next(nth for nth in range(len(taken) + 1) if nth not in taken)
            self._study.sampler = self._sampler(place, [trial for trial in trials if position(trial) == place])
            trial = self._study.ask()
            trial.set_user_attr("position", place)
            trial.set_user_attr("process", _this_process())
            return trial

    def begin(self) -> None:
        """End the trials that an earlier search of this process left open: a new one has none under way."""
        with self._lock:
            self._end_lost(_is_of_this_process)

    def _end_lost(self, is_lost: Callable[[FrozenTrial], bool]) -> None:
        """Trials whose process died are tried again, unless it died too often in them."""
        trials = self._study.get_trials(deepcopy=False)
        for lost in (trial for trial in trials if is_lost(trial)):
            kills = sum(position(trial) == position(lost) and "killed" in trial.user_attrs for trial in trials) + 1
            trial = Trial(self._study, lost._trial_id)
            trial.set_user_attr("killed", True)
            if kills < MOST_KILLS:
                trial.set_user_attr("interrupted", True)
            else:
                trial.set_user_attr("reason", f"its process was killed {kills} times")
            self._study.tell(lost.number, state=TrialState.FAIL)

    def _sampler(self, place: int, earlier: Sequence[FrozenTrial]) -> optuna.samplers.BaseSampler:
        """The draws of one position; those of an interrupted trial are made again."""
        seed = np.random.default_rng([self._seed, place]).integers(2**31)
        sampler = optuna.samplers.TPESampler(seed=int(seed))
        own = {option.key: option.own for option in self.options}
        drawn = [trial.params for trial in earlier if trial.params.keys() == own.keys()]
        kept = drawn[-1] if drawn else own if place == 0 else None
        return sampler if kept is None else _Repeated(kept)

    def finish(self, trial: Trial, value: float) -> None:
        """Record the value of a complete trial."""
        self._study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """Record a pruned trial."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """Record a failed trial."""
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def give_back(self, trial: Trial) -> None:
        """Record an interrupted trial; it does not count, and its options are tried again."""
        trial.set_user_attr("interrupted", True)
        self._study.tell(trial, state=TrialState.FAIL)

    def ended(self) -> list[FrozenTrial]:
        """The trials that are complete, pruned or failed, by position."""
        ended = [trial for trial in self._study.get_trials() if _counts(trial) and trial.state.is_finished()]
        return sorted(ended, key=position)

    def n_running(self) -> int:
        """Number of running trials, those whose process died left out."""
        running = self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        return sum(not _has_lost_its_process(trial) for trial in running)

    def best_first(self) -> list[FrozenTrial]:
        """The complete trials."""
        sign = -1 if self.higher_is_better else 1
        complete = [trial for trial in self.ended() if trial.state == TrialState.COMPLETE]
        return sorted(complete, key=lambda one: sign * (one.value or 0.0))

    def importances(self) -> dict[str, float]:
        """Key → share of each option in what tells good trials from bad ones (PED-ANOVA, arXiv 2304.10255).

        Empty when too few trials are complete to say.
        """
        if len({trial.value for trial in self.best_first()}) < TRIALS_BEFORE_IMPORTANCES:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return optuna.importance.get_param_importances(self._study, evaluator=evaluator)


class _Repeated(optuna.samplers.RandomSampler):
    """Gives values that are known."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(seed=0)
        self._values = values

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of an option."""
        return self._values[param_name]


def position(trial: FrozenTrial) -> int:
    """The place of a trial in its search; one that was interrupted leaves its place to another."""
    return int(trial.user_attrs.get("position", trial.number))


def _counts(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.WAITING and "interrupted" not in trial.user_attrs


def _this_process() -> list[Any]:
    return [platform.node(), os.getpid(), born(os.getpid())]


def _is_of_this_process(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and trial.user_attrs.get("process") == _this_process()


def _has_lost_its_process(trial: FrozenTrial) -> bool:
    """True if the process of a running trial, on this machine, no longer exists."""
    if trial.state != TrialState.RUNNING:
        return False
    if "process" not in trial.user_attrs:  # it died between two records; while it lived, it held the lock
        return True
    host, pid, began = trial.user_attrs["process"]
    return host == platform.node() and not lives(pid, began)
