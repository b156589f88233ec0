"""Rating metrics against scikit-learn and by property."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error, root_mean_squared_error

from p5core.contracts.metric import EvalResult, ItemStatistics, Metric, Predictions
from p5core.evaluation.metric_results import measure
from p5plugins.metrics.ratings import MAE, RMSE, Accuracy, LikedFrom, LogLoss, SquaredError

FloatArray = npt.NDArray[np.float64]
METRICS: list[type[Metric]] = [SquaredError, RMSE, MAE, Accuracy, LogLoss]
FACTS = ItemStatistics(np.zeros(1, dtype=np.int64), 1, csr_array((1, 1)))


def result(users: list[list[tuple[float, float]]]) -> EvalResult:
    """The result of (predicted, observed) pairs of each user."""
    predicted, observed = np.array([pair for one in users for pair in one]).T
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in users])]).astype(np.int64)
    return EvalResult(None, None, {"values": Predictions(predicted, observed, offsets)}, FACTS, 1)


PAIRS = st.tuples(st.floats(-2, 8), st.integers(1, 5).map(float))
USERS = st.lists(st.lists(PAIRS, min_size=1, max_size=5), min_size=1, max_size=6)


def liked(values: FloatArray) -> npt.NDArray[np.bool_]:
    return values >= 4


LIBRARY: dict[type[Metric], Callable[[FloatArray, FloatArray], float]] = {
    SquaredError: lambda predicted, observed: mean_squared_error(observed, predicted),
    RMSE: lambda predicted, observed: root_mean_squared_error(observed, predicted),
    MAE: lambda predicted, observed: mean_absolute_error(observed, predicted),
    Accuracy: lambda predicted, observed: accuracy_score(liked(observed), liked(predicted)),
    LogLoss: lambda predicted, observed: log_loss(liked(observed), expit(predicted - 4), labels=[False, True]),
}


def figure(metric: Metric, data: EvalResult) -> float:
    return measure(data, [metric], 0, 0)[metric.label].value


@given(USERS, st.sampled_from(METRICS))
def test_figures_are_those_of_scikit_learn_over_all_ratings(
    users: list[list[tuple[float, float]]], metric: type[Metric]
) -> None:
    data = result(users)
    values = data.predictions["values"]
    expected = LIBRARY[metric](values.predicted, values.observed)
    assert figure(metric(metric.Config()), data) == pytest.approx(expected)


@given(USERS, st.sampled_from(METRICS))
def test_values_are_those_of_each_user_alone(users: list[list[tuple[float, float]]], metric: type[Metric]) -> None:
    built = metric(metric.Config())
    alone = [built.values(result([one]))[0] for one in users]
    assert built.values(result(users)) == pytest.approx(np.array(alone))


@given(USERS)
def test_perfect_predictions_have_no_error(users: list[list[tuple[float, float]]]) -> None:
    data = result([[(observed, observed) for _, observed in one] for one in users])
    for metric in (SquaredError, RMSE, MAE):
        assert figure(metric(metric.Config()), data) == 0
    assert figure(Accuracy(Accuracy.Config()), data) == 1


def test_intervals_are_those_of_the_root_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    users = [[(float(rng.normal(3, 1)), 3.0) for _ in range(rng.integers(1, 9))] for _ in range(200)]
    found = measure(result(users), [RMSE(RMSE.Config()), SquaredError(SquaredError.Config())], 200, 0)
    root, square = found["rmse"], found["mse"]
    assert root.low is not None
    assert root.high is not None
    assert (root.low**2, root.high**2) == pytest.approx((square.low, square.high), rel=1e-3)
    assert root.low < root.value < root.high


def test_the_threshold_is_an_option() -> None:
    data = result([[(3.0, 1.0), (1.0, 1.0)]])
    assert figure(Accuracy(Accuracy.Config()), data) == 1.0
    assert figure(Accuracy(LikedFrom(threshold=2.0)), data) == 0.5
    assert figure(LogLoss(LikedFrom(threshold=2.0)), data) == pytest.approx(np.log1p(np.exp([1.0, -1.0])).mean())


def test_log_loss_does_not_overflow() -> None:
    assert figure(LogLoss(LogLoss.Config()), result([[(-2000.0, 5.0)]])) == 2004.0
