"""Every route of a run on a GPU, beside the same route on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import Interrupter

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.workflows.evaluate_run import evaluate_run
from p5core.workflows.recommend import Recommender
from p5export.export import export_run
from p5export.graph.states import TORCH_FOR_LOOPS
from p5export.validation.verify import verify

pytestmark = pytest.mark.gpu

DATA = {"name": "synthetic", "n_users": 80, "n_items": 40, "n_events": 1500, "n_clusters": 8, "ratings": True}
BACKBONES = sorted(load_plugins().parts("backbone"))


def experiment(backbone: str = "gpt", device: str = "cuda", **sections: Any) -> Experiment:
    blend = [{"name": "cooccurrence", "content": "all"}] if backbone != "mf" else []
    model = {"width": 8, "max_length": 12, "backbone": {"name": backbone}, "blend": blend}
    return parse_experiment(
        {
            "device": device,
            "precision": "32-true",
            "data": DATA,
            "model": model,
            "stages": [{"epochs": 3, "optimiser": {"learning_rate": 0.01}}],
            "evaluate": {"resamples": 10, "metrics": ["hr@10", "ndcg@10"]},
            **sections,
        }
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def answers(run: p5core.Run, registry: Registry) -> list[list[tuple[str | int, float]]]:
    """What a run recommends to some users, on the device that serves best here."""
    recommender = Recommender.load(run.path, registry)
    return [[(one.item, one.score) for one in recommender.recommend_user(user, k=5)] for user in (1, 2, 3)]


def figures(run: p5core.Run, registry: Registry) -> dict[str, float]:
    evaluation, _ = evaluate_run(run, registry, {})
    return {label: figure.value for label, figure in evaluation.results["test"]["model"].items()}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_trains_there_and_answers_the_same_on_both(
    backbone: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = p5core.run(experiment(backbone), tmp_path, "there", registry)
    there, measured = answers(run, registry), figures(run, registry)
    assert measured == pytest.approx(run.metrics().test["model"], abs=1e-3)
    if torch.__version__ >= TORCH_FOR_LOOPS or backbone not in ("gru", "lstm"):
        exported = export_run(run, tmp_path / "export", registry, say=lambda _: None)
        assert verify(exported.folder).n_cases
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = answers(run, registry)
    assert figures(run, registry) == pytest.approx(measured, abs=1 / 80), "a near-tie may fall the other way"
    for one, other in zip(here, there, strict=True):
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-4)


@pytest.mark.parametrize(
    ("tasks", "label"), [([{"name": "rating"}, {"name": "next_item", "weight": 0.5}], "rmse"), (["masked_item"], "")]
)
def test_tasks_learn_there_as_well(tasks: Any, label: str, registry: Registry, tmp_path: Path) -> None:
    tasks = [{"name": one} if isinstance(one, str) else one for one in tasks]
    backbone = "bert" if not label else "gpt"
    metrics = {"metrics": ["ndcg@10", *([label] if label else [])], "resamples": 10}
    runs = [
        p5core.run(
            experiment(backbone, device, stages=[{"epochs": 6, "tasks": tasks}], evaluate=metrics),
            tmp_path,
            f"on-{device}",
            registry,
        )
        for device in ("cpu", "cuda")
    ]
    here, there = (run.metrics().test["model"] for run in runs)
    assert there == pytest.approx(here, abs=0.15)


def test_a_stage_and_a_run_start_from_weights_of_another(registry: Registry, tmp_path: Path) -> None:
    other = {**DATA, "n_items": 60, "seed": 3}
    stages = [{"epochs": 2, "data": other}, {"epochs": 2}]
    first = p5core.run(experiment(stages=stages), tmp_path, "first", registry)
    second = p5core.run(
        experiment(data=other, stages=[{"epochs": 1, "from": str(first.path)}]), tmp_path, "second", registry
    )
    assert np.isfinite(second.metrics().test["model"]["ndcg@10"])


def test_a_stopped_run_goes_on(registry: Registry, tmp_path: Path) -> None:
    asked = experiment(stages=[{"epochs": 4, "token_budget": 128}])
    whole = p5core.run(asked, tmp_path, "whole", registry)

    with pytest.raises(KeyboardInterrupt):
        p5core.run(asked, tmp_path, "stopped", registry, None, Interrupter(tmp_path / "stopped"))
    again = p5core.resume(p5core.open_run(tmp_path / "stopped"), registry)
    assert again.metrics().test["model"] == pytest.approx(whole.metrics().test["model"], abs=0.02)
