"""From a result to figures with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from p5core.config.base import PartRef
from p5core.contracts.metric import EvalResult, Metric
from p5core.errors import ConfigError
from p5core.evaluation.intervals import interval, resampled_sums
from p5core.plugins.registry import Registry

__all__ = ["MetricResult", "choose_metrics", "measure"]


@dataclass(frozen=True, eq=False)
class MetricResult:
    """The result of one metric."""

    value: float
    """NaN where it is undefined"""

    low: float | None = None
    high: float | None = None
    """95 % bootstrap interval over users; None for figures about the whole set of lists, or without resampling"""

    values: npt.NDArray[np.float64] | None = None
    """(M,) the value of each user; None for figures about the whole set"""

    weights: npt.NDArray[np.float64] | None = None
    """(M,) weight of each user; None weighs all the same"""


def measure(result: EvalResult, metrics: Sequence[Metric], resamples: int, seed: int) -> dict[str, MetricResult]:
    """Metric label → figure; with `resamples` > 0 per-user metrics get an interval. Equal seeds give equal intervals.

    A metric whose part of the result is missing, such as values of a scorer that predicts none, is NaN.
    """
    figures = {metric.label: _figure(result, metric) for metric in metrics}
    sums_of = {
        label: _weighed(figure.values, figure.weights) for label, figure in figures.items() if figure.values is not None
    }
    if not resamples or not sums_of:
        return figures
    columns = np.concatenate(list(sums_of.values()), axis=1)  # (M, 2 × metrics)
    sums = resampled_sums(columns, resamples, seed).reshape(resamples, -1, 2)
    with np.errstate(invalid="ignore"):
        means = dict(zip(sums_of, (sums[:, :, 0] / sums[:, :, 1]).T, strict=True))
    for metric in metrics:
        if metric.label in means:
            low, high = interval(metric.scale(means[metric.label]))
            figures[metric.label] = replace(figures[metric.label], low=low, high=high)
    return figures


def _weighed(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """(M, 2) weighted values and weights, both zero where a value is undefined: the sums of a weighted mean."""
    weights = np.where(np.isnan(values), 0.0, 1.0 if weights is None else weights)
    return np.stack([np.where(weights > 0, values, 0.0) * weights, weights], axis=1)


def _figure(result: EvalResult, metric: Metric) -> MetricResult:
    if not result.holds(metric.needs):
        return MetricResult(float("nan"))
    values = metric.values(result)
    if metric.whole_set:
        return MetricResult(float(values[0]))
    weights = metric.weights(result)
    return MetricResult(metric.reduce(values, weights), values=values, weights=weights)


def choose_metrics(registry: Registry, refs: Sequence[PartRef]) -> list[Metric]:
    """Build metrics from labels such as "ndcg@10", "accuracy@3.5" or "auc", or from tables; each once.

    Raises UnknownPartError for an unknown name and ConfigError for an option that is wrong.
    """
    metrics: list[Metric] = [registry.choose("metric", ref, f"metric {_shown(ref)}").build() for ref in refs]
    for metric in metrics:
        if metric.needs == "lists" and metric.depth < 1:
            raise ConfigError(f"Metric '{metric.label}' reads lists of length {metric.depth}. Give it 1 or more.")
    return list({metric.label: metric for metric in metrics}.values())


def _shown(ref: PartRef) -> str:
    return ref if isinstance(ref, str) else ref.name
