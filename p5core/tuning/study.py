"""The trials of a search, in a journal that several processes share."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from p5core.system.processes import born, lives
from p5core.tuning.search_space import Option

__all__ = ["Study"]

TRIALS_BEFORE_PRUNING = 4
TRIALS_BEFORE_IMPORTANCES = 10


class Study:
    """Trials over some options, of which the best has the highest or the lowest value.

    The first trial takes the experiment's own values. Draws depend on seed and number of the trial alone, so that a
    search that was interrupted goes on as if it had not been.
    """

    def __init__(
        self, folder: Path, options: Sequence[Option], seed: int, *, higher_is_better: bool, n_epochs: int
    ) -> None:
        """Open the study in `folder`, or begin it; trials of up to `n_epochs` epochs are pruned after a quarter."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.options = options
        self.higher_is_better = higher_is_better
        self._seed = seed
        self._lock = JournalFileOpenLock(str(folder / "claim"))
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
            study_name="tune",
            direction="maximize" if higher_is_better else "minimize",
            pruner=optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING, n_warmup_steps=n_epochs // 4),
            load_if_exists=True,
        )

    def claim(self, n_trials: int) -> Trial | None:
        """Begin a trial; None when `n_trials` are finished or under way, in all processes together."""
        with self._locked():
            for earlier in self._study.get_trials(deepcopy=False):
                if _has_lost_its_process(
                    earlier
                ):  # what kills a process, such as too little memory, would kill the next
                    self._study.tell(earlier.number, state=TrialState.FAIL)
            trials = self._study.get_trials(deepcopy=False)
            if sum(_counts(begun) for begun in trials) >= n_trials:
                return None
            if not trials:
                self._study.enqueue_trial({option.key: option.own for option in self.options})
            seed = np.random.default_rng([self._seed, len(trials)]).integers(2**31)
            self._study.sampler = optuna.samplers.TPESampler(seed=int(seed))
            trial = self._study.ask()
            trial.set_user_attr("process", [platform.node(), os.getpid(), born(os.getpid())])
            return trial

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
        self._study.enqueue_trial(trial.params)

    def ended(self) -> list[FrozenTrial]:
        """The trials that are complete, pruned or failed, by number."""
        return [trial for trial in self._study.get_trials() if _counts(trial) and trial.state.is_finished()]

    def n_running(self) -> int:
        """Number of running trials."""
        return len(self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))

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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _counts(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.WAITING and "interrupted" not in trial.user_attrs


def _has_lost_its_process(trial: FrozenTrial) -> bool:
    """True if the process of a running trial, on this machine, no longer exists."""
    if trial.state != TrialState.RUNNING:
        return False
    host, pid, began = trial.user_attrs.get("process", ["", 0, None])
    return host == platform.node() and not lives(pid, began)
