"""Groups of test users, stored sides, and the controls of pre-trained runs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.data.storage import read_dataset
from p5core.errors import RunError
from p5core.evaluation.metric_results import choose_metrics
from p5core.evaluation.segments import Group, Traits, even_groups, segments, warm_and_cold
from p5core.evaluation.significance import UserValues, compare
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import create_run
from p5core.runs.run import Run
from p5core.workflows.compare import (
    Side,
    compare_sides,
    controls,
    is_pretrained,
    stored_side,
    traits_of_run,
    without_pretraining,
)


def experiment(stages: list[dict[str, Any]] | None = None, seed: int = 0, width: int = 4) -> Experiment:
    return parse_experiment(
        {
            "seed": seed,
            "data": {"name": "synthetic", "n_users": 60, "n_items": 40, "n_events": 900, "n_clusters": 8},
            "model": {"width": width, "max_length": 8, "backbone": {"name": "gpt", "n_layers": 1}},
            "stages": stages or [{"tasks": [{"name": "next_item"}], "epochs": 1}],
            "evaluate": {"resamples": 10, "metrics": ["hr@10", "ndcg@10"], "baselines": ["popularity"]},
        }
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return p5core.run(experiment(), tmp_path_factory.mktemp("runs"), "plain", registry)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(1, 6))
def test_groups_part_the_users_in_order_and_never_tear_equals_apart(trait: list[int], n: int) -> None:
    groups = even_groups(np.array(trait, dtype=np.float64), n)
    assert np.array_equal(np.sum([one.members for one in groups], axis=0), np.ones(len(trait)))
    assert len(groups) <= n + 1
    ranges = [np.array(trait)[one.members] for one in groups]
    assert all(one.max() < other.min() for one, other in pairwise(ranges))
    assert all(0 not in one or not one.any() for one in ranges), "users at zero stand by themselves"


def test_even_groups_are_about_as_large() -> None:
    groups = even_groups(np.arange(1.0, 101.0), 4)
    assert [int(one.members.sum()) for one in groups] == [25, 25, 25, 25]
    assert [one.name for one in groups] == ["1–25", "26–50", "51–75", "76–100"]
    assert groups[0].place == 13


def test_slices_of_all_groups_together_make_the_whole(registry: Registry) -> None:
    metric = choose_metrics(registry, ["ndcg@10"])[0]
    values = np.array([0.0, 1.0, 0.5, np.nan, 0.5])
    first = np.array([True, True, False, True, False])
    found = segments(metric, UserValues(np.arange(5), values), [Group("a", 0, first), Group("b", 1, ~first)], 100, 0)
    assert [(one.name, one.n_users, one.value) for one in found] == [("a", 2, 0.5), ("b", 2, 0.5)]
    assert found[0].low == 0
    assert found[0].high == 1
    assert found[1].low == found[1].high == 0.5


def test_weights_count_and_a_group_without_values_is_undefined(registry: Registry) -> None:
    metric = choose_metrics(registry, ["ndcg@10"])[0]
    values, weights = np.array([0.0, 1.0, np.nan]), np.array([1.0, 3.0, 1.0])
    groups = [Group("some", 0, np.array([True, True, False])), Group("none", 1, np.array([False, False, True]))]
    some, none = segments(metric, UserValues(np.arange(3), values, weights), groups, 10, 0)
    assert some.value == 0.75
    assert none.n_users == 0
    assert np.isnan(none.value)


def test_traits_are_counted_from_the_stored_data(run: Run, registry: Registry) -> None:
    traits, dataset = traits_of_run(run, registry), read_dataset(run.data / "target")
    stored = load_file(run.path / "per_user.safetensors")
    lengths = np.diff(dataset.events.offsets)
    assert np.array_equal(traits.history, lengths[stored["users"]] - 1), "leave-one-out: all events but the last"
    histories = [dataset.events.histories[user].tolist() for user in range(dataset.events.n_users)]
    trained = [item for one in histories for item in (one[:-2] if len(one) >= 3 else one)]
    wanted = [trained.count(histories[user][-1]) for user in stored["users"]]
    assert traits.popularity.tolist() == wanted
    assert traits.is_cold.tolist() == [count == 0 for count in wanted]


def test_warm_and_cold_leave_an_empty_group_out() -> None:
    nothing = np.zeros(3)
    some = Traits(nothing, nothing, np.array([True, False, False]))
    assert [(one.name, one.members.tolist()) for one in warm_and_cold(some)] == [
        ("warm", [False, True, True]),
        ("cold", [True, False, False]),
    ]
    assert [one.name for one in warm_and_cold(Traits(nothing, nothing, np.zeros(3, dtype=bool)))] == ["warm"]


def test_sides_are_compared_as_their_metrics_are(run: Run, registry: Registry) -> None:
    model, baseline = stored_side(run), stored_side(run, "popularity")
    assert (model.name, baseline.name) == ("plain", "plain: popularity")
    found = compare_sides(registry, model, baseline, 200, 0)
    assert [one.label for one in found] == ["hr@10", "ndcg@10"]
    test = run.metrics().test
    assert [(one.first, one.second) for one in found] == [
        (pytest.approx(test["model"][label]), pytest.approx(test["popularity"][label]))
        for label in ("hr@10", "ndcg@10")
    ]
    metric = choose_metrics(registry, ["ndcg@10"])[0]
    assert found[1].result == compare(metric, model.values["ndcg@10"], baseline.values["ndcg@10"], 200, 0)


def test_what_was_not_measured_cannot_be_compared(run: Run, registry: Registry) -> None:
    with pytest.raises(RunError, match=r"has no values of 'magic'\. It was evaluated with: model, popularity"):
        stored_side(run, "magic")
    with pytest.raises(RunError, match="plain and empty have no metric in common"):
        compare_sides(registry, stored_side(run), Side("empty", {}), 100, 0)


STAGES = [
    {"name": "pretrain", "tasks": [{"name": "masked_item"}]},
    {"name": "finetune", "tasks": [{"name": "next_item"}]},
]


def test_a_control_differs_by_the_pretraining_alone(tmp_path: Path) -> None:
    tuned = experiment(STAGES)
    assert is_pretrained(tuned)
    assert is_pretrained(experiment([{"from": "other", "tasks": [{"name": "next_item"}]}]))
    control = without_pretraining(tuned)
    assert not is_pretrained(control)
    assert control.stages[0].tasks == tuned.stages[-1].tasks
    runs = {
        name: create_run(tmp_path / name, one, {}, None)
        for name, one in {
            "tuned": tuned,
            "wider": experiment(width=8),
            "control": control,
            "other-seed": experiment(seed=1),
            "tuned-too": experiment(STAGES),
        }.items()
    }
    assert [one.name for one in controls(runs["tuned"], runs.values())] == ["control", "wider"]
