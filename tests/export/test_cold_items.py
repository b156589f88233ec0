"""Items that are known by content: those that nobody had, and those of equal content."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

import p5core
from p5core.config.document import parse_experiment
from p5core.data.dataset import Ragged
from p5core.errors import ExportError
from p5core.plugins.registry import Registry
from p5export.export import export_run
from p5export.runtime import OnnxRecommender
from p5export.validation import parity
from p5export.validation.near_ties import NearTies
from p5export.validation.sessions import ExportedScorer

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


@pytest.mark.parametrize(("error", "is_rounding"), [(1e-6, True), (0.5, False)])
def test_equal_items_tie_however_scores_are_rounded(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float, is_rounding: bool
) -> None:
    """Items of equal content tie; that an export rounds their scores differently is no difference."""
    rng = np.random.default_rng(0)
    rows = [(user, int(item), step) for user in range(60) for step, item in enumerate(rng.permutation(53)[:6])]
    items = pd.DataFrame({"item": range(53), "genre": [f"g{item % 2}" for item in range(53)]})
    data = {"interactions": pd.DataFrame(rows, columns=["user", "item", "timestamp"]), "items": items}
    experiment = parse_experiment(
        {
            "data": {"name": "dataframe", **data},
            "model": {
                "width": 24,
                "encoders": [{"name": "categories", "columns": ["genre"]}],
                "backbone": {"name": "gru"},
            },
            "stages": [{"epochs": 2}],
            "evaluate": {"resamples": 0, "metrics": ["hr@5", "ndcg@10"]},
        }
    )
    run = p5core.run(experiment, tmp_path, "equal", registry)

    class Rounded(ExportedScorer):
        def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> torch.Tensor:
            scores = super().scores(users, histories)
            return scores * (1 + error * torch.arange(scores.shape[1]) / scores.shape[1])

    monkeypatch.setattr(parity, "ExportedScorer", Rounded)
    expected = contextlib.nullcontext() if is_rounding else pytest.raises(ExportError, match="Measured through ONNX")
    with expected:
        made = export_run(run, tmp_path / "export", registry, say=lambda text: None)
        assert made.manifest["parity"]["users_measured"] == 60


def test_near_ties_are_equal_and_nothing_else_is() -> None:
    scores = torch.tensor([[1.0, 1.0 + 1e-6, 0.9, -torch.inf, 0.9 - 1e-6, 0.5, -torch.inf]])
    joined = NearTies(_Fixed(scores)).scores(np.zeros(1, np.int32), Ragged.of([[0]]))
    assert joined.tolist() == [[scores[0, 1], scores[0, 1], scores[0, 2], -torch.inf, scores[0, 2], 0.5, -torch.inf]]


class _Fixed:
    def __init__(self, table: torch.Tensor) -> None:
        self.table = table

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> torch.Tensor:
        return self.table

    def predict(self, field: str, users: object, histories: Ragged, targets: Ragged) -> None:
        return None
