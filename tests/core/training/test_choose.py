"""What an experiment leaves open: loss, metric to watch, device and precision."""

from __future__ import annotations

import pytest
import torch

from p5core.config.experiment import StageConfig, TaskSpec
from p5core.plugins.registry import load_plugins
from p5core.training.defaults import choose_loss, choose_precision, watched_metric
from p5core.training.stages import make_fabric


@pytest.mark.parametrize(
    ("kind", "n_items", "n_events", "name"),
    [
        ("rating", 10, 10, "mse"),
        ("ranking", 10_000, 10_000_000, "cross_entropy"),
        ("ranking", 10_001, 10_000_000, "sampled_softmax"),
        ("ranking", 20_000, 500_000, "cross_entropy"),
        ("ranking", 20_000, 500_001, "sampled_softmax"),
    ],
)
def test_the_loss_follows_the_catalogue_and_the_log(kind: str, n_items: int, n_events: int, name: str) -> None:
    assert choose_loss(kind, n_items, n_events)[0] == name


def test_the_watched_metric_is_the_named_one_or_the_tasks_last() -> None:
    registry = load_plugins()
    assert watched_metric(StageConfig(), registry).label == "ndcg@10"
    assert watched_metric(StageConfig(tasks=[TaskSpec(name="rating")]), registry).label == "rmse"
    assert watched_metric(StageConfig(watch="hr@3"), registry).label == "hr@3"


def test_the_device_is_the_processor_where_there_is_no_other() -> None:
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert make_fabric("auto", "32-true").device.type == wanted
    assert make_fabric("cpu", "bf16-mixed").device.type == "cpu"


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
