"""One way of measuring, for the model and for what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from p5core.config.experiment import EvaluateConfig
from p5core.contracts.eval_result import EvalResult, ItemStatistics
from p5core.contracts.metric import Metric
from p5core.contracts.scorer import Scorer
from p5core.data.dataset import Dataset
from p5core.data.split import Holdout
from p5core.evaluation.metric_results import MetricResult, measure
from p5core.evaluation.ranking import rank
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer

__all__ = ["Evaluator", "domain_items"]


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
    seed: int
    check: Callable[[], None] = lambda: None
    """called now and then; what it raises ends the evaluation"""

    def of(self, holdout: Holdout) -> Evaluator:
        """The same for other users."""
        return replace(self, holdout=holdout)

    def result(self, scorer: Scorer) -> EvalResult:
        """Rank everything that the metrics need."""
        cut_offs = [getattr(metric.config, "k", 1) for metric in self.metrics]
        return rank(
            scorer,
            self.holdout,
            self.statistics,
            {metric.needs for metric in self.metrics},
            k=max(cut_offs),
            exclude_seen=self.config.exclude_seen,
            candidates=self.config.candidates,
            candidate_items=self.candidate_items,
            memory_mb=self.config.memory,
            seed=self.seed,
            check=self.check,
        )

    def figures(self, scorer: Scorer) -> dict[str, MetricResult]:
        """Metric label → figure with its interval."""
        return measure(self.result(scorer), self.metrics, self.config.resamples, self.seed)

    def values(self, scorer: Scorer) -> dict[str, float]:
        """Metric label → value, without intervals."""
        found = measure(self.result(scorer), self.metrics, 0, self.seed)
        return {label: figure.value for label, figure in found.items()}

    def validate(self, network: Network) -> dict[str, float]:
        """Metric label → value of a network as it stands, without intervals."""
        training = network.training
        found = self.values(NetworkScorer(network, self.max_length))
        network.train(training)
        return found


def domain_items(dataset: Dataset) -> npt.NDArray[np.int32] | None:
    """Codes of the items of the domains that this data set has events of; None when that is the whole catalogue."""
    if len(dataset.catalogue.domains) == 1:
        return None
    return np.sort(np.concatenate([dataset.catalogue.members(domain) for domain in dataset.own_domains]))
