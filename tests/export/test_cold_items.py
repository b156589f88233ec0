"""Items that nobody had are recommended through the export, by their content and under their own ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import p5core
from p5core.config.document import parse_experiment
from p5core.plugins.registry import Registry
from p5export.export import export_run
from p5export.runtime import OnnxRecommender

COLD = ["new-0", "new-1"]


def test_cold_items_are_recommended_under_their_own_ids(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (user, f"{'xy'[user % 2]}{item}", step)
        for user in range(60)
        for step, item in enumerate(rng.permutation(10)[:6])
    ]
    warm = [f"{genre}{item}" for genre in "xy" for item in range(10)]
    items = pd.DataFrame({"item": [*warm, *COLD], "genre": [*"x" * 10, *"y" * 10, "x", "y"]})
    experiment = parse_experiment(
        {
            "data": {
                "name": "dataframe",
                "interactions": pd.DataFrame(rows, columns=["user", "item", "timestamp"]),
                "items": items,
            },
            "prepare": {"cold_items": True},
            "model": {
                "width": 16,
                "encoders": [{"name": "id"}, {"name": "categories", "columns": ["genre"]}],
                "backbone": {"name": "gru", "n_layers": 1},
            },
            "stages": [{"epochs": 20, "optimiser": {"learning_rate": 0.01}}],
            "evaluate": {"resamples": 0},
        }
    )
    run = p5core.run(experiment, tmp_path, "cold", registry)
    export_run(run, tmp_path / "export", registry, say=lambda text: None)
    answers = OnnxRecommender(tmp_path / "export").recommend_batch([["x1", "x2", "x3"], ["y1", "y2", "y3"]], k=22)
    places = [{found.item: place for place, found in enumerate(answer)} for answer in answers]
    assert all(set(COLD) <= place.keys() for place in places)
    assert places[0]["new-0"] < places[0]["new-1"]
    assert places[1]["new-1"] < places[1]["new-0"]
