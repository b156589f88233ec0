"""What an experiment leaves open: loss, metric to watch, device and precision."""

from __future__ import annotations

import pytest
import torch

from p5core.config.base import PartSpec
from p5core.config.experiment import StageConfig, TaskSpec
from p5core.contracts.task import Task
from p5core.errors import ConfigError, UnknownPartError
from p5core.plugins.discovery import load_plugins
from p5core.training.defaults import baseline_labels, choose_loss, choose_token_budget, watched_metric
from p5core.training.engine import Engine, choose_precision


@pytest.mark.parametrize(
    ("task", "n_items", "n_events", "name"),
    [
        ("rating", 10, 10, "mse"),
        ("next_item", 10_000, 10_000_000, "cross_entropy"),
        ("next_item", 10_001, 10_000_000, "sampled_softmax"),
        ("next_item", 20_000, 500_000, "cross_entropy"),
        ("next_item", 20_000, 500_001, "sampled_softmax"),
    ],
)
def test_the_loss_follows_the_catalogue_and_the_log(task: str, n_items: int, n_events: int, name: str) -> None:
    registry = load_plugins()
    assert choose_loss(registry, registry.get("task", task), n_items, n_events)[0] == name


def test_a_default_loss_that_is_not_installed_is_said_with_its_task() -> None:
    class Odd(Task):
        name = "odd"
        default_loss = "nosuch"

    with pytest.raises(UnknownPartError, match="The default loss of task 'odd': Unknown loss 'nosuch'"):
        choose_loss(load_plugins(), Odd, 10, 10)


def test_the_watched_metric_is_the_named_one_or_the_tasks_last() -> None:
    registry = load_plugins()
    assert watched_metric(StageConfig(), registry).label == "ndcg@10"
    assert watched_metric(StageConfig(tasks=[TaskSpec(name="rating")]), registry).label == "rmse"
    assert watched_metric(StageConfig(watch="hr@3"), registry).label == "hr@3"


@pytest.mark.parametrize(
    ("device", "n_events", "tokens"),
    [
        ("cpu", 100_000_000, 2_048),
        ("cuda", 200_000, 2_048),
        ("cuda:1", 5_000_000, 5_000),
        ("cuda", 100_000_000, 16_384),
    ],
)
def test_a_gpu_takes_larger_batches_only_where_an_epoch_keeps_its_steps(
    device: str, n_events: int, tokens: int
) -> None:
    assert choose_token_budget(device, n_events) == tokens


def test_the_device_is_the_processor_where_there_is_no_other() -> None:
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert Engine("auto", "32-true").device.type == wanted
    assert Engine("cpu", "bf16-mixed").device.type == "cpu"


@pytest.mark.parametrize("device", ["cudaa", "gpu", "cuda:first", ""])
def test_a_device_of_another_name_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device = '{device}' is unknown. Choose 'auto', 'cpu', 'cuda' or 'cuda:1'"):
        Engine(device, "32-true")


def test_a_device_that_cannot_rank_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mps' cannot be used: it has no float64"):
        Engine("mps", "32-true")


@pytest.mark.parametrize(
    ("device", "able", "precision"),
    [
        ("cpu", {"avx512_bf16": True}, "bf16-mixed"),
        ("cpu", {"amx_bf16": True}, "bf16-mixed"),
        ("cpu", {"avx512_bf16": False, "avx2": True}, "32-true"),
        ("cpu", {}, "32-true"),
        ("mps", {"avx512_bf16": True}, "32-true"),
        pytest.param("cuda", {}, "bf16-mixed", marks=pytest.mark.gpu),
    ],
)
def test_the_precision_follows_the_machine(
    device: str, able: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose_precision(device)[0] == precision


def test_baselines_of_one_name_are_told_apart_by_their_options() -> None:
    bm25 = PartSpec(name="item_knn", similarity="bm25")
    assert baseline_labels(["popularity", "item_knn", bm25]) == ["popularity", "item_knn", "item_knn,similarity=bm25"]
    for twice in (["popularity", "popularity"], ["item_knn", bm25, bm25]):
        with pytest.raises(ConfigError, match=r"evaluate.baselines names '.*' twice. Leave one out"):
            baseline_labels(twice)
