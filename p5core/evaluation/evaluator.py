"""The evaluator: one protocol for the model and its baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from p5core.config.experiment import EvaluateConfig
from p5core.contracts.metric import EvalResult, ItemStatistics, Metric
from p5core.contracts.scorer import HistoryScorer
from p5core.data.holdout import Holdout
from p5core.evaluation.metric_results import MetricResult, measure
from p5core.evaluation.ranking import rank

__all__ = ["Evaluator"]


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Ranks held-out items by any scorer, always in the same way."""

    holdout: Holdout
    statistics: ItemStatistics
    metrics: Sequence[Metric]
    config: EvaluateConfig
    candidate_items: npt.NDArray[np.int32] | None
    """items that may be recommended; None for the whole catalogue"""

    max_length: int
    fields: Mapping[str, str]
    """"values" and "probabilities" → the field of the events that is predicted"""

    seed: int
    check: Callable[[], None] = lambda: None
    """called regularly; an exception from it ends the evaluation"""

    def of(self, holdout: Holdout) -> Evaluator:
        """The same evaluator for other users."""
        return replace(self, holdout=holdout)

    def result(self, scorer: HistoryScorer) -> EvalResult:
        """Rank everything that the metrics need."""
        return rank(
            scorer,
            self.holdout,
            self.statistics,
            {metric.needs for metric in self.metrics},
            depth=max(metric.depth for metric in self.metrics),
            fields=self.fields,
            exclude_seen=self.config.exclude_seen,
            candidates=self.config.candidates,
            candidate_items=self.candidate_items,
            memory_mb=self.config.memory,
            seed=self.seed,
            check=self.check,
        )

    def results(self, scorer: HistoryScorer) -> dict[str, MetricResult]:
        """Metric label → figure with its interval."""
        return measure(self.result(scorer), self.metrics, self.config.resamples, self.seed)

    def values(self, scorer: HistoryScorer) -> dict[str, float]:
        """Metric label → value, without intervals."""
        results = measure(self.result(scorer), self.metrics, 0, self.seed)
        return {label: figure.value for label, figure in results.items()}
