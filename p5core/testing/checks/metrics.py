"""The promises of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.config.experiment import EvaluateConfig
from p5core.contracts.metric import EvalResult, Metric, Predictions, Ranks
from p5core.contracts.part import NoOptions
from p5core.data.columns import RATING
from p5core.data.dataset import Ragged
from p5core.data.holdout import Holdout
from p5core.evaluation.evaluator import Evaluator
from p5core.evaluation.item_statistics import item_statistics
from p5core.evaluation.metric_results import choose_metrics
from p5core.testing.engine import LABEL

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]

FloatArray = npt.NDArray[np.float64]

N_USERS, K = 24, 10


def has_a_label_to_ask_for_it(subject: Subject) -> None:
    """An experiment that writes the label gets this metric."""
    label = _build(subject).label
    assert choose_metrics(subject.registry, [label])[0].label == label


def one_value_a_user_within_bounds(subject: Subject) -> None:
    """`values` is float64 (M,), or (1,) for the whole set; within `bounds`, NaN where it is undefined."""
    metric = _build(subject)
    for result in (_outcome(subject, range(N_USERS)), _outcome(subject, [0])):
        _values(metric, result)


def nothing_to_measure_is_no_error(subject: Subject) -> None:
    """No user gives no value; empty lists give values within bounds or NaN."""
    metric = _build(subject)
    _values(metric, _outcome(subject, []))
    _values(metric, _outcome(subject, range(N_USERS), with_lists=False))


def users_do_not_depend_on_each_other(subject: Subject) -> None:
    """Values are the same whether users are measured together, in halves or in another order."""
    metric = _build(subject)
    if metric.whole_set:
        return
    together = _values(metric, _outcome(subject, range(N_USERS)))
    order = np.random.default_rng(1).permutation(N_USERS)
    halves = [_values(metric, _outcome(subject, half)) for half in (order[: N_USERS // 2], order[N_USERS // 2 :])]
    same = np.allclose(np.concatenate(halves), together[order], rtol=1e-12, equal_nan=True)
    assert same, "The value of a user depends on the other users, or on their order."


def being_right_is_best(subject: Subject) -> None:
    """Targets on the first places, or ratings foretold exactly, give the better figure."""
    metric = _build(subject)
    if metric.needs == "lists":
        return
    others, right = (_outcome(subject, range(N_USERS), is_perfect=is_right) for is_right in (False, True))
    worse, best = (metric.reduce(metric.values(outcome), metric.weights(outcome)) for outcome in (others, right))
    is_better = best > worse if metric.higher_is_better else best < worse
    assert is_better, f"Perfect answers give {best:.4f}, random ones {worse:.4f}; is higher_is_better right?"


def other_metrics_change_nothing(subject: Subject) -> None:
    """An evaluation gives the same figure whether other metrics are measured beside it or not."""
    metric = _build(subject)
    alone = _evaluated(subject, [metric])
    beside = _evaluated(subject, [metric, _Deep(NoOptions())])
    same = np.array_equal(alone, beside, equal_nan=True)
    assert same, f"The figure is {alone} alone and {beside} beside a metric of longer lists; does it say its `depth`?"


class _Deep(Metric):
    """A metric that reads lists of all items."""

    name = "kit_deep"
    needs = "lists"
    depth = 60

    def values(self, result: EvalResult) -> FloatArray:
        assert result.lists is not None
        return np.zeros(len(result.lists))


class _Fixed:
    """A scorer with random scores and predictions that are the same for the same users."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        rows = [np.random.default_rng(int(user)).random(self._n_items) for user in users]
        return torch.from_numpy(np.array(rows, dtype=np.float32))

    def predict(
        self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged
    ) -> npt.NDArray[np.floating]:
        scale = 1.0 if field == LABEL else 5.0
        return scale * np.array([np.random.default_rng(int(value)).random() for value in targets.values])


def _evaluated(subject: Subject, metrics: Sequence[Metric]) -> float:
    """The figure of the first metric on users with one target each."""
    world = subject.world
    lengths = np.diff(world.events.offsets)
    users = np.flatnonzero(lengths >= 2).astype(np.int32)
    histories = world.events.histories.take(users)
    targets = Ragged.of([[int(histories[row][-1])] for row in range(len(users))])
    shortened = Ragged.of([histories[row][:-1].tolist() for row in range(len(users))])
    ratings = np.random.default_rng(0).integers(1, 6, len(users)).astype(np.float32)
    holdout = Holdout(users, shortened, targets, {RATING: ratings, LABEL: (ratings > 3).astype(np.float32)})
    statistics = item_statistics(world.events, world.n_items)
    fields = {"values": RATING, "probabilities": LABEL}
    evaluator = Evaluator(holdout, statistics, metrics, EvaluateConfig(), None, 6, fields, 0)
    return evaluator.values(_Fixed(world.n_items))[metrics[0].label]


def ties_lie_between(subject: Subject) -> None:
    """A target that shares two places, rank n + ½, is worth no more than the better and no less than the worse one."""
    metric = _build(subject)
    if metric.needs != "ranks":
        return
    sign = 1 if metric.higher_is_better else -1
    for place in (1.0, K - 1.0, float(K), 30.0):
        before, tied, after = (sign * metric.values(_one_target(subject, place + step))[0] for step in (0.0, 0.5, 1.0))
        assert before >= tied >= after, (
            f"Ranks {place:g}, {place + 0.5:g}, {place + 1:g} give {before:.4f}, {tied:.4f}, {after:.4f}."
        )


def _build(subject: Subject) -> Metric:
    return cast("Metric", subject.build())


def _values(metric: Metric, result: EvalResult) -> FloatArray:
    values = metric.values(result)
    is_array = isinstance(values, np.ndarray) and values.dtype == np.float64
    assert is_array, f"values returned {type(values).__name__}; it must be a float64 array."
    n_users = len(result.lists) if result.lists is not None else 0
    shape = (1,) if metric.whole_set else (n_users,)
    assert values.shape == shape, f"values has shape {values.shape}; it must be {shape}."
    low, high = metric.bounds
    defined = values[~np.isnan(values)]
    within = (defined >= low - 1e-12).all() and (defined <= high + 1e-12).all()
    assert within, f"Values from {defined.min()} to {defined.max()} leave the bounds {metric.bounds}."
    weights = metric.weights(result)
    assert weights is None or weights.shape == shape, "weights must be one a user."
    return values


def _outcome(
    subject: Subject, users: Sequence[int] | npt.NDArray[np.int64], is_perfect: bool = False, with_lists: bool = True
) -> EvalResult:
    """The same ranks, lists and ratings for the same users, whoever is measured beside them."""
    n_items = subject.world.n_items
    draws = [_draw(int(user), n_items, is_perfect) for user in users]
    offsets = np.concatenate([[0], np.cumsum([len(ranks) for ranks, _, _, _ in draws])]).astype(np.int64)
    ranks, predicted, observed = (np.concatenate([np.zeros(0), *(draw[part] for draw in draws)]) for part in (0, 2, 3))
    lists = np.array([draw[1] for draw in draws], dtype=np.int32).reshape(len(draws), K)
    return EvalResult(
        Ranks(ranks, offsets, np.full(len(draws), n_items)),
        lists if with_lists else np.full_like(lists, -1),
        _predictions(predicted, observed, offsets),
        item_statistics(subject.world.events, n_items),
        n_items,
    )


def _predictions(predicted: FloatArray, observed: FloatArray, offsets: npt.NDArray[np.int64]) -> dict[str, Predictions]:
    """Values between 1 and 5, and probabilities of the higher ones."""
    chances = 1 / (1 + np.exp(3.0 - predicted))
    return {
        "values": Predictions(predicted, observed, offsets),
        "probabilities": Predictions(chances, (observed > 3).astype(np.float64), offsets),
    }


def _draw(
    user: int, n_items: int, is_perfect: bool
) -> tuple[FloatArray, npt.NDArray[np.int64], FloatArray, FloatArray]:
    """Ranks of one to four targets, a list that may end early, predicted and observed ratings."""
    rng = np.random.default_rng(user)
    n = int(rng.integers(1, 5))
    ranks = np.arange(1.0, n + 1) if is_perfect else rng.permutation(n_items)[:n] + rng.choice([1.0, 1.5])
    best = rng.permutation(n_items)[:K]
    best[int(rng.integers(1, K + 1)) :] = -1
    observed = rng.integers(1, 6, n).astype(np.float64)
    return np.minimum(ranks, n_items), best, observed + (0 if is_perfect else rng.normal(0, 2, n)), observed


def _one_target(subject: Subject, place: float) -> EvalResult:
    n_items = subject.world.n_items
    ranks = Ranks(np.array([place]), np.array([0, 1]), np.array([n_items]))
    return EvalResult(ranks, None, {}, item_statistics(subject.world.events, n_items), n_items)


CHECKS: tuple[Check, ...] = (
    has_a_label_to_ask_for_it,
    one_value_a_user_within_bounds,
    nothing_to_measure_is_no_error,
    users_do_not_depend_on_each_other,
    being_right_is_best,
    ties_lie_between,
    other_metrics_change_nothing,
)
