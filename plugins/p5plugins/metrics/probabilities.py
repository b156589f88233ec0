"""Metrics of predicted probabilities against observed labels, 0 or 1.

The value of a user is the mean over that user's N_u held-out events; users count N_u each, so that the figure equals
the mean over all events. p is the predicted probability and y the label.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from p5core.contracts.metric import EvalResult, Metric

__all__ = ["BinaryCrossEntropy"]

Values = npt.NDArray[np.float64]

SMALLEST = np.finfo(np.float64).eps
"""Distance of probabilities from 0 and 1, so that a certain error has a finite loss, as in scikit-learn."""


class BinaryCrossEntropy(Metric):
    """Binary cross-entropy of predicted probabilities, in nats: mean of -y log p - (1 - y) log(1 - p)."""

    name = "bce"
    needs = "probabilities"
    higher_is_better = False
    bounds = (0.0, np.inf)

    def values(self, result: EvalResult) -> Values:
        events = result.predictions["probabilities"]
        p = np.clip(events.predicted, SMALLEST, 1 - SMALLEST)
        return events.mean_by_user(-events.observed * np.log(p) - (1 - events.observed) * np.log1p(-p))

    def weights(self, result: EvalResult) -> Values:
        return np.diff(result.predictions["probabilities"].offsets).astype(np.float64)
