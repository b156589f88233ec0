"""A new kind of prediction needs no change to the core: clicks, by the sixty lines of `click_task`."""

from __future__ import annotations

from pathlib import Path

import click_task
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from safetensors.torch import load_file

import p5core
from p5core.plugins.discovery import load_plugins
from p5core.testing import check_part
from p5core.workflows.recommend import Recommender
from p5export.export import export_run
from p5export.runtime import OnnxRecommender


def clicks() -> pd.DataFrame:
    """Users walk through the items in order, and click on the even ones."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{(start + step) % 20}", 1_700_000_000 + 60 * step, int((start + step) % 2 == 0))
        for user, start in enumerate(rng.integers(0, 20, 120))
        for step in range(12)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "timestamp", "click"])


def experiment(backbone: str) -> p5core.Experiment:
    return p5core.parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": clicks()},
            "prepare": {"fields": ["click"]},
            "model": {"width": 16, "max_length": 8, "dropout": 0.0, "backbone": {"name": backbone}},
            "stages": [
                {
                    "epochs": 30,
                    "token_budget": 512,
                    "tasks": [{"name": "click"}, {"name": "next_item"}],
                    "optimiser": {"learning_rate": 0.02},
                }
            ],
            "evaluate": {"resamples": 10, "metrics": ["brier", "ndcg@10"]},
        }
    )


def test_the_kit_knows_its_field() -> None:
    check_part(load_plugins([("clicks", click_task.ClickPlugin())]), "task", "click")


@pytest.mark.parametrize("backbone", ["gpt", "gru"])
def test_clicks_are_learnt_measured_exported_and_served(backbone: str, tmp_path: Path) -> None:
    assert len(Path(click_task.__file__).read_text().splitlines()) <= 60
    registry = load_plugins([("clicks", click_task.ClickPlugin())])
    run = p5core.run(experiment(backbone), tmp_path, "clicks", registry)
    assert run.metrics().test["model"]["brier"] < 0.05, "guessing a half has 0.25"
    assert "tasks.click.weight" in load_file(run.weights)
    exported = export_run(run, tmp_path / "export", registry, say=lambda _: None)
    assert exported.manifest["predictions"]["clicks"] == "probability"
    session = onnxruntime.InferenceSession(exported.folder / "score.onnx")
    assert [one.name for one in session.get_outputs()] == ["scores", "clicks"]
    model = OnnxRecommender(exported.folder)
    assert model.predict("clicks", ["i0", "i1"], ["i2"])[0] > 0.7
    assert model.predict("clicks", ["i1", "i2"], ["i3"])[0] < 0.3
    assert Recommender.load(run, registry).recommend_user("u3", k=3)


def test_data_without_the_field_is_refused(tmp_path: Path) -> None:
    registry = load_plugins([("clicks", click_task.ClickPlugin())])
    without = experiment("gpt").model_copy(update={"prepare": p5core.PrepareConfig()})
    with pytest.raises(p5core.ConfigError, match="Task 'click' needs the field 'click' of the events"):
        p5core.run(without, tmp_path, "clicks", registry)
