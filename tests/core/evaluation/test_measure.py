"""MetricResults, intervals, paired tests and their way into reports."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from scipy.sparse import csr_array

from p5core.contracts.metric import AtK, EvalResult, ItemStatistics, Metric, Ranks
from p5core.contracts.part import NoOptions
from p5core.errors import ConfigError, RunError, UnknownPartError
from p5core.evaluation import intervals as bootstrap
from p5core.evaluation.intervals import interval, resampled_sums
from p5core.evaluation.metric_results import MetricResult, choose_metrics, measure
from p5core.evaluation.report import plain_intervals, plain_values, protocol_note, results_table
from p5core.evaluation.significance import UserValues, compare
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.registry import Registry
from p5plugins.metrics.ratings import MAE

FloatArray = npt.NDArray[np.float64]


class Place(Metric):
    """The first rank of each user."""

    name = "place"
    needs = "ranks"
    higher_is_better = False

    def values(self, result: EvalResult) -> FloatArray:
        assert result.ranks is not None
        return result.ranks.ranks[result.ranks.offsets[:-1]]


class RootPlace(Place):
    """The root of the mean first rank, users counting by their targets."""

    name = "root_place"

    def weights(self, result: EvalResult) -> FloatArray:
        assert result.ranks is not None
        return result.ranks.n_targets.astype(np.float64)

    def scale(self, mean: FloatArray) -> FloatArray:
        return np.sqrt(mean)


class Width(Metric):
    """How many items the lists hold."""

    name = "width"
    Config = AtK
    needs = "lists"
    whole_set = True

    def values(self, result: EvalResult) -> FloatArray:
        assert result.lists is not None
        return np.array([float(result.lists[:, : self.config.k].size)])


class Toys:
    """A plugin with the metrics above."""

    @hookimpl
    def p5_metrics(self) -> list[type[Metric]]:
        return [Place, RootPlace, Width]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins([("toys", Toys())])


def result(ranks: Sequence[Sequence[float]], lists: npt.NDArray[np.int32] | None = None) -> EvalResult:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in ranks])]).astype(np.int64)
    flat = np.array([place for one in ranks for place in one], dtype=np.float64)
    statistics = ItemStatistics(np.ones(9, dtype=np.int64), 1, csr_array((9, 1)))
    return EvalResult(Ranks(flat, offsets, np.full(len(ranks), 9)), lists, {}, statistics, 9)


def random_result(n_users: int, seed: int) -> EvalResult:
    rng = np.random.default_rng(seed)
    return result([(rng.integers(1, 10, size=rng.integers(1, 4)) * 1.0).tolist() for _ in range(n_users)])


def test_labels_become_metrics(registry: Registry) -> None:
    chosen = choose_metrics(registry, ["width@3", "place", "width", "width@10"])
    assert [metric.label for metric in chosen] == ["width@3", "place", "width@10"]


def test_labels_that_make_no_sense_are_refused(registry: Registry) -> None:
    with pytest.raises(UnknownPartError, match=r"Unknown metric 'widht'\. Did you mean 'width'"):
        choose_metrics(registry, ["widht@3"])
    with pytest.raises(ConfigError, match=r"place has no options\. Write 'place'"):
        choose_metrics(registry, ["place@10"])
    for wrong in ("0", "-1", "ten", "", "1.5"):
        with pytest.raises(ConfigError, match=rf"metric width@{wrong}\.k: .*got '{wrong}'"):
            choose_metrics(registry, [f"width@{wrong}"])


def test_the_mean_leaves_undefined_users_out() -> None:
    metric = Place(NoOptions())
    assert metric.reduce(np.array([1.0, np.nan, 3.0])) == 2.0
    assert metric.reduce(np.array([1.0, np.nan, 3.0]), np.array([3.0, 9.0, 1.0])) == 1.5
    assert np.isnan(metric.reduce(np.array([np.nan])))
    assert np.isnan(metric.reduce(np.zeros(0)))


def test_figures_carry_values_and_weights() -> None:
    found = measure(result([[4.0], [1.0, 2.0, 3.0]]), [Place(NoOptions()), RootPlace(NoOptions())], 0, 0)
    assert found["place"].value == 2.5
    assert found["root_place"].value == pytest.approx(np.sqrt((4 + 3 * 1) / 4))
    assert cast("FloatArray", found["place"].values).tolist() == [4.0, 1.0]
    assert found["place"].weights is None
    assert cast("FloatArray", found["root_place"].weights).tolist() == [1.0, 3.0]
    assert (found["place"].low, found["place"].high) == (None, None)


def test_whole_set_figures_have_no_interval() -> None:
    lists = np.zeros((2, 5), dtype=np.int32)
    found = measure(result([[1.0], [2.0]], lists), [Width(AtK(k=3)), Place(NoOptions())], 50, 0)
    assert found["width@3"].value == 6.0
    assert (found["width@3"].low, found["width@3"].values) == (None, None)
    assert found["place"].low is not None


def test_a_missing_part_of_the_outcome_is_undefined() -> None:
    assert np.isnan(measure(result([[1.0]]), [Width(AtK())], 50, 0)["width@10"].value)


def test_intervals_are_those_of_a_plain_bootstrap() -> None:
    data = random_result(40, 1)
    found = measure(data, [Place(NoOptions()), RootPlace(NoOptions())], 300, seed=7)["root_place"]
    values, weights = cast("FloatArray", found.values), cast("FloatArray", found.weights)
    rng = np.random.default_rng(7)
    draws = [rng.integers(40, size=40) for _ in range(300)]
    statistics = [np.sqrt(np.average(values[one], weights=weights[one])) for one in draws]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(statistics, [0.025, 0.975])))


def test_equal_seeds_give_equal_intervals() -> None:
    data, metrics = random_result(30, 2), [Place(NoOptions())]
    first, again, other = (measure(data, metrics, 200, seed)["place"] for seed in (3, 3, 4))
    assert (first.low, first.high) == (again.low, again.high)
    assert (first.low, first.high) != (other.low, other.high)


def test_resamples_are_what_drawing_user_by_user_gives() -> None:
    columns, rng = np.random.default_rng(0).random((20, 3)), np.random.default_rng(1)
    expected = [columns[rng.integers(20, size=20)].sum(axis=0) for _ in range(50)]
    assert resampled_sums(columns, 50, 1) == pytest.approx(np.array(expected))


def test_blocks_of_resamples_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(0).random((20, 3))
    whole = resampled_sums(columns, 50, 1)
    monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", 60)
    assert resampled_sums(columns, 50, 1) == pytest.approx(whole)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        sample = rng.exponential(size=(80, 1))
        low, high = interval(resampled_sums(sample, 200, trial)[:, 0] / 80)
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_an_interval_of_nothing_is_undefined() -> None:
    assert np.isnan(interval(np.full(3, np.nan))).all()
    found = measure(result([[float("nan")], [float("nan")]]), [Place(NoOptions())], 20, 0)["place"]
    assert np.isnan([found.value, cast("float", found.low), cast("float", found.high)]).all()


def values(array: FloatArray, weights: FloatArray | None = None) -> UserValues:
    return UserValues(np.arange(len(array)), array, weights)


def test_a_paired_test_agrees_with_every_exchange_of_signs() -> None:
    first, second = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]), np.array([2.0, 0.0, 1.0, 1.5, 2.0, 3.0, 1.0])
    found = compare(Place(NoOptions()), values(first), values(second), 20_000, 0)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1)
    exact = np.mean(np.abs((first - second) @ signs) >= abs((first - second).sum()) - 1e-9)
    assert found.difference == pytest.approx((first - second).mean())
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert found.low < found.difference < found.high
    assert found.n_users == 7


def test_a_paired_test_of_scaled_and_weighted_figures() -> None:
    rng = np.random.default_rng(0)
    first, second, weights = rng.random(50), rng.random(50), rng.integers(1, 9, 50).astype(np.float64)
    metric = RootPlace(NoOptions())
    found = compare(metric, values(first, weights), values(second, weights), 200, 5)
    assert found.difference == pytest.approx(metric.reduce(first, weights) - metric.reduce(second, weights))
    draws = np.random.default_rng(5).integers(50, size=50)
    one = [metric.reduce(side[draws], weights[draws]) for side in (first, second)]
    single = compare(metric, values(first, weights), values(second, weights), 1, 5)
    assert single.low == single.high == pytest.approx(one[0] - one[1])


def test_a_paired_test_is_symmetric_seeded_and_sees_what_is_there() -> None:
    rng = np.random.default_rng(1)
    base = rng.random(300)
    better = base + rng.normal(0.1, 0.2, 300)
    metric = Place(NoOptions())
    forth, back = (
        compare(metric, *pair, 999, 0) for pair in ((values(better), values(base)), (values(base), values(better)))
    )
    assert (forth.difference, forth.low, forth.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert forth.p_value == back.p_value == 0.001
    assert forth == compare(metric, values(better), values(base), 999, 0)
    assert compare(metric, values(base), values(base), 999, 0).p_value == 1.0


def test_a_paired_test_without_a_difference_is_calibrated() -> None:
    rng = np.random.default_rng(2)
    trials = [
        compare(Place(NoOptions()), values(rng.random(30)), values(rng.random(30)), 99, seed) for seed in range(300)
    ]
    assert np.mean([one.p_value <= 0.1 for one in trials]) == pytest.approx(0.1, abs=0.05)


def test_users_undefined_in_one_run_are_left_out_of_both() -> None:
    found = compare(Place(NoOptions()), values(np.array([1.0, np.nan, 5.0])), values(np.array([0.0, 9.0, 1.0])), 50, 0)
    assert (found.difference, found.n_users) == (2.5, 2)


def test_runs_on_different_users_are_not_compared() -> None:
    one, two = values(np.ones(3)), UserValues(np.array([0, 1, 3]), np.ones(3))
    with pytest.raises(RunError, match="tested on different users"):
        compare(Place(NoOptions()), one, two, 10, 0)
    with pytest.raises(RunError, match="No user has a place in both runs"):
        compare(Place(NoOptions()), values(np.array([np.nan, 1.0])), values(np.array([1.0, np.nan])), 10, 0)


FIGURES = {
    "model": {"place": MetricResult(2.5, 2.0, 3.0), "width@10": MetricResult(7.0)},
    "popularity": {"place": MetricResult(4.5, 4.0, 5.0), "width@10": MetricResult(8.0)},
    "neighbours": {"place": MetricResult(float("nan"), float("nan"), float("nan")), "width@10": MetricResult(1.0)},
}


def test_the_table_marks_the_best_of_each_row() -> None:
    stream = StringIO()
    table = results_table(FIGURES, [Place(NoOptions()), Width(AtK())], "test")
    Console(file=stream, width=120, force_terminal=True, no_color=True).print(table)
    text = stream.getvalue()
    assert "\x1b[1m2.5000 (2.0000 to 3.0000)\x1b[0m" in text
    assert "\x1b[1m8.0000\x1b[0m" in text
    assert "\x1b[1m7.0000" not in text
    assert "\x1b[1m4.5000" not in text
    assert "–" in text
    assert text.index("model") < text.index("popularity") < text.index("neighbours")


def test_figures_become_plain_values() -> None:
    assert plain_values(FIGURES)["model"] == {"place": 2.5, "width@10": 7.0}
    assert plain_values(FIGURES)["neighbours"]["place"] is None
    assert plain_intervals(FIGURES) == {
        "model": {"place": [2.0, 3.0]},
        "popularity": {"place": [4.0, 5.0]},
        "neighbours": {},
    }


def test_the_protocol_is_named() -> None:
    place = [Place(NoOptions())]
    assert protocol_note(place, 100, True).startswith("NOT full ranking: each user's targets compete with 100 sampled")
    assert protocol_note(place, 0, True).startswith("Full ranking")
    assert "compete as well" in protocol_note(place, 0, False)
    assert protocol_note([MAE(NoOptions())], 0, True) == "Predicted values compared with those of the held-out events."
