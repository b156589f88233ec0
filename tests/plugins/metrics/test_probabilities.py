"""Metrics of probabilities against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import log_loss

from p5core.contracts.metric import EvalResult, ItemStatistics, Predictions
from p5core.contracts.part import NoOptions
from p5core.evaluation.metric_results import measure
from p5plugins.metrics.probabilities import BinaryCrossEntropy

STATISTICS = ItemStatistics(np.zeros(1, dtype=np.int64), 1, csr_array((1, 1)))
PAIRS = st.tuples(st.floats(0, 1), st.integers(0, 1).map(float))


@given(st.lists(st.lists(PAIRS, min_size=1, max_size=5), min_size=1, max_size=6))
def test_it_is_that_of_scikit_learn_over_all_events(users: list[list[tuple[float, float]]]) -> None:
    predicted, observed = np.array([pair for pairs in users for pair in pairs]).T
    offsets = np.concatenate([[0], np.cumsum([len(pairs) for pairs in users])]).astype(np.int64)
    result = EvalResult(None, None, {"probabilities": Predictions(predicted, observed, offsets)}, STATISTICS, 1)
    figure = measure(result, [BinaryCrossEntropy(NoOptions())], 0, 0)["bce"].value
    assert figure == pytest.approx(log_loss(observed, predicted, labels=[0, 1]), rel=1e-6, abs=1e-9)
