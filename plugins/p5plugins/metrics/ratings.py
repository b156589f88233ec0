"""Metrics of predicted ratings against observed ones.

The value of a user is the mean over that user's N_u held-out ratings; users count N_u each, so that the figure equals
the mean over all ratings. p is the predicted and r the observed rating.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from p5core.config.base import Config
from p5core.contracts.metric import EvalResult, Metric

__all__ = ["MAE", "RMSE", "Accuracy", "LikedFrom", "LogLoss", "SquaredError"]

Values = npt.NDArray[np.float64]


class _RatingMetric(Metric):
    needs = "values"
    higher_is_better = False
    bounds = (0.0, np.inf)

    @abstractmethod
    def score(self, predicted: Values, observed: Values) -> Values:
        """(n_targets,) what each rating adds to the mean."""

    def values(self, result: EvalResult) -> Values:
        values = result.predictions["values"]
        return values.mean_by_user(self.score(values.predicted, values.observed))

    def weights(self, result: EvalResult) -> Values:
        return np.diff(result.predictions["values"].offsets).astype(np.float64)


class SquaredError(_RatingMetric):
    """Mean squared error: mean of (p - r)²."""

    name = "mse"

    def score(self, predicted: Values, observed: Values) -> Values:
        return (predicted - observed) ** 2


class RMSE(SquaredError):
    """Root mean squared error, in rating units: √ mean of (p - r)². The value of a user is still the mean square."""

    name = "rmse"

    def scale(self, mean: Values) -> Values:
        return np.sqrt(mean)


class MAE(_RatingMetric):
    """Mean absolute error, in rating units: mean of |p - r|."""

    name = "mae"

    def score(self, predicted: Values, observed: Values) -> Values:
        return np.abs(predicted - observed)


class LikedFrom(Config):
    """Options of metrics that ask whether an item is liked."""

    threshold: float = 4.0
    """Ratings at or above this count as liked."""


class Accuracy(_RatingMetric):
    """Accuracy of ratings as liked (≥ t) or not: fraction with [p ≥ t] = [r ≥ t]."""

    name = "accuracy"
    Config = LikedFrom
    config: LikedFrom
    higher_is_better = True
    bounds = (0.0, 1.0)

    def score(self, predicted: Values, observed: Values) -> Values:
        threshold = self.config.threshold
        right: npt.NDArray[np.bool_] = (predicted >= threshold) == (observed >= threshold)
        return right.astype(np.float64)


class LogLoss(_RatingMetric):
    """Log loss of ratings as liked (≥ t) or not, in nats: -log q if r ≥ t, else -log(1 - q).

    The chance of being liked is read off the prediction as q = sigmoid(p - t), one half at the threshold t.
    """

    name = "log_loss"
    Config = LikedFrom
    config: LikedFrom

    def score(self, predicted: Values, observed: Values) -> Values:
        margin = predicted - self.config.threshold
        # log(1 + exp(x)), without overflow
        loss: Values = np.logaddexp(0.0, np.where(observed >= self.config.threshold, -margin, margin))
        return loss
