"""What a run will take, before it runs."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from p5core.config.base import PartSpec
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.contracts.task import TrainingData
from p5core.data.catalogue import Users
from p5core.errors import ConfigError
from p5core.fitting.trained_model import new_network
from p5core.plugins.discovery import load_plugins
from p5core.training.stages import make_tasks
from p5core.workflows.train import plan_run, run


def experiment(loss: str = "cross_entropy", epochs: int = 3) -> Experiment:
    task = {"name": "next_item", "loss": {"name": loss}}
    return parse_experiment(
        {
            "data": {"name": "synthetic", "n_users": 60, "n_items": 30},
            "model": {"width": 8, "max_length": 10},
            "stages": [{"tasks": [task], "epochs": epochs, "token_budget": 200}],
        }
    )


def test_an_estimate_counts_steps_and_weights() -> None:
    registry = load_plugins()
    materials = plan_run(experiment(), registry=registry).data
    stage = materials.experiment.stages[0]
    target, gpt = materials.target, registry.get("backbone", "gpt")
    users = Users(target.dataset.user_frame)
    data = TrainingData(target.split.train, gpt, 10, stage.token_budget, target.dataset.catalogue, users)
    n_batches = len(make_tasks(0, stage, registry)[0].plan(data, np.random.default_rng(0)))
    said = materials.sentences[-1]
    assert f"for {3 * n_batches} steps" in said
    network = new_network(materials, registry)
    assert f"; {sum(one.numel() for one in network.parameters()):,} weights." in said


def test_memory_is_that_of_the_process_and_of_what_training_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(width: int) -> float:
        model = experiment().model.model_copy(update={"width": width})
        said = plan_run(experiment().model_copy(update={"model": model})).data.sentences[-1]
        return float(re.findall(r"([\d.]+) GB of memory", said)[0])

    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(rss=2**30))
    assert held(8) == 1.0
    assert held(512) == 1.1  # 6,300,000 weights in two blocks, 12 bytes each


def test_an_estimate_leaves_random_draws_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    plan_run(experiment())
    assert torch.equal(torch.rand(3), expected)


def test_scores_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000))
    with pytest.raises(ConfigError, match=r"'cross_entropy' of stage 'train' would hold .* GB of scores"):
        run(experiment(), tmp_path)
    assert not list(tmp_path.iterdir())
    assert run(experiment("sampled_softmax", epochs=1), tmp_path).state() == "done"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (PartSpec(name="cross_entropy"), 2 * 4 * 256 * 30_000),
        (PartSpec(name="sampled_softmax"), 0),
        (PartSpec(name="bpr"), 0),
    ],
)
def test_losses_over_the_catalogue_say_what_they_hold(spec: PartSpec, expected: int) -> None:
    assert load_plugins().choose("loss", spec).build().score_bytes(2_048, 30_000) == expected
