"""A run that was stopped and goes on ends with the weights of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

PATIENT = """
[[stages]]
tasks = [{ name = "next_item" }]
epochs = 12
patience = 1
token_budget = 200
optimiser = { learning_rate = 0.3 }
"""


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(trainer: Any, recorder: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], int]:
    """The weights of an uninterrupted run, and how often it could have been stopped."""
    follower = recorder()
    weights = trainer.fit(trainer.experiment(), tmp_path_factory.mktemp("whole"), follower)
    assert follower.kinds().count("validation") == 5  # the second stage measures its start
    assert follower.kinds().count("stage") == 2
    return weights, follower.n_asked


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.6, 1.0])
def test_one_stop_anywhere_changes_nothing(
    trainer: Any, whole: tuple[dict[str, Tensor], int], tmp_path: Path, share: float
) -> None:
    weights, n_places = whole
    trainer.fit_until(trainer.experiment(), tmp_path, max(1, round(share * n_places)))
    torch.manual_seed(1234)
    assert equal(trainer.fit(trainer.experiment(), tmp_path), weights)


def test_a_stop_after_every_step_changes_nothing(
    trainer: Any, recorder: Any, whole: tuple[dict[str, Tensor], int], tmp_path: Path
) -> None:
    weights, n_places = whole
    assert n_places > 8
    for _ in range(n_places):
        trainer.fit_until(trainer.experiment(), tmp_path, stop_at=1)
    follower = recorder()
    assert equal(trainer.fit(trainer.experiment(), tmp_path, follower), weights)
    assert follower.n_asked == 0


def test_a_stop_when_patience_ends_is_not_followed_by_another_epoch(
    trainer: Any, recorder: Any, tmp_path: Path
) -> None:
    experiment, follower = trainer.experiment(PATIENT), recorder()
    weights = trainer.fit(experiment, tmp_path / "whole", follower)
    assert "early_stop" in follower.kinds()
    trainer.fit_until(experiment, tmp_path / "stopped", follower.n_asked)
    again = recorder()
    assert equal(trainer.fit(experiment, tmp_path / "stopped", again), weights)
    assert again.kinds().count("validation") == 0
