"""A network learns from an event as often as its weight says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support import experiment_of

import p5core
from p5core.plugins.discovery import load_plugins
from p5core.workflows.recommend import Recommender

EXPERIMENT = """
[data]
name = "table"
path = "log.csv"

[split]
name = "by_user"

[model]
width = 16
max_length = 8
dropout = 0.0
blend = []
backbone = { name = "gpt" }

[[stages]]
epochs = 40
patience = 40
tasks = [{ name = "next_item", loss = { name = "cross_entropy" } }]

[stages.optimiser]
learning_rate = 0.01

[evaluate]
resamples = 10
"""


def log(n_users: int) -> str:
    """After a come b and c equally often, b with nine times the weight; other items follow at random."""
    rng = np.random.default_rng(0)
    rows = ["user,item,timestamp,weight"]
    for user in range(n_users):
        fillers = [f"f{number}" for number in rng.permutation(8)[:3]]
        for time, item in enumerate([fillers[0], "a", "bc"[user % 2], *fillers[1:]]):
            rows.append(f"{user},{item},{1_500_000_000 + time},{9 if item == 'b' else 1}")
    return "\n".join(rows)


def log_odds(folder: Path, *settings: str) -> float:
    """By how much the network prefers b to c after a, as the logarithm of odds."""
    experiment = experiment_of(EXPERIMENT, f"data.path={folder / 'log.csv'}", *settings)
    run = p5core.run(experiment, runs=folder / "runs")
    scored = Recommender.load(run.path, load_plugins()).recommend(["f1", "a"], 10)
    scores = {one.item: one.score for one in scored}
    return scores["b"] - scores["c"]


@pytest.mark.parametrize(
    ("backbone", "task"), [("gpt", "next_item"), ("bert", "next_item"), ("gpt", "masked_item"), ("bert", "masked_item")]
)
def test_nine_times_the_weight_is_nine_times_the_odds(tmp_path: Path, backbone: str, task: str) -> None:
    (tmp_path / "log.csv").write_text(log(300))
    settings = (f"model.backbone.name={backbone}", f"stages.0.tasks.0.name={task}")
    assert log_odds(tmp_path, *settings, "data.weight=weight") == pytest.approx(math.log(9), abs=0.7)
    assert log_odds(tmp_path, *settings) == pytest.approx(0.0, abs=0.7)
