"""From a result to figures with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from p5core.config.base import parse_config
from p5core.contracts.eval_result import EvalResult
from p5core.contracts.metric import Metric
from p5core.errors import ConfigError
from p5core.evaluation.intervals import interval, resampled_sums
from p5core.plugins.registry import Registry

__all__ = ["MetricResult", "choose_metrics", "measure"]


@dataclass(frozen=True, eq=False)
class MetricResult:
    """What one metric found."""

    value: float
    """NaN where it is undefined"""

    low: float | None = None
    high: float | None = None
    """95 % bootstrap interval over users; None for figures about the whole set of lists, or without resampling"""

    values: npt.NDArray[np.float64] | None = None
    """(M,) the value of each user; None for figures about the whole set"""

    weights: npt.NDArray[np.float64] | None = None
    """(M,) how much each user counts; None counts all the same"""


def measure(result: EvalResult, metrics: Sequence[Metric], resamples: int, seed: int) -> dict[str, MetricResult]:
    """Metric label → figure; with `resamples` > 0 per-user metrics get an interval. Equal seeds give equal intervals.

    A metric whose part of the result is missing, such as ratings of a scorer that predicts none, is NaN.
    """
    figures = {metric.label: _figure(result, metric) for metric in metrics}
    sums_of = {label: _weighed(one.values, one.weights) for label, one in figures.items() if one.values is not None}
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
    if getattr(result, metric.needs) is None:
        return MetricResult(float("nan"))
    values = metric.values(result)
    if metric.whole_set:
        return MetricResult(float(values[0]))
    weights = metric.weights(result)
    return MetricResult(metric.reduce(values, weights), values=values, weights=weights)


def choose_metrics(registry: Registry, labels: Sequence[str]) -> list[Metric]:
    """Build metrics from labels such as "ndcg@10", "accuracy@3.5" or "auc", each once.

    Raises UnknownPartError for an unknown name and ConfigError for a value behind the @ that is wrong or has no use.
    """
    metrics = [_metric(registry, label) for label in labels]
    return list({metric.label: metric for metric in metrics}.values())


def _metric(registry: Registry, label: str) -> Metric:
    name, at, value = (one.strip() for one in label.partition("@"))
    part: type[Metric] = registry.get("metric", name)
    if not at:
        return part(part.Config())
    if not part.Config.model_fields:
        raise ConfigError(f"Metric '{label}': {name} has no options. Write '{name}'.")
    option = next(iter(part.Config.model_fields))
    return part(parse_config(part.Config, {option: value}, f"metric {label}"))
