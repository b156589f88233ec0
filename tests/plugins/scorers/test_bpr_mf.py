"""BPR: what users had is ranked above the rest, also for users without a vector of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from support import events_of

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Ragged
from p5plugins.scorers.bpr_mf import BPRMF, BPRMFConfig

N_ITEMS, N_GROUPS = 40, 4


def histories(n_users: int = 200) -> list[list[int]]:
    """Users of four groups, each with items of its own group."""
    rng = np.random.default_rng(0)
    return [list(rng.permutation(N_ITEMS // N_GROUPS)[:5] * N_GROUPS + user % N_GROUPS) for user in range(n_users)]


def fitted(**options: Any) -> BPRMF:
    scorer = BPRMF(BPRMFConfig(**{"n_factors": 8, **options}))
    scorer.fit(events_of(histories()), Catalogue(pd.DataFrame({"item": range(N_ITEMS), "domain": "default"})))
    return scorer


@pytest.fixture(scope="module")
def scorer() -> BPRMF:
    return fitted()


def best(scorer: BPRMF, user: int, history: list[int]) -> set[int]:
    """The groups of the ten best items."""
    scores = scorer.scores(np.array([user], np.int32), Ragged.of([history]))
    return {int(item) % N_GROUPS for item in scores[0].topk(N_ITEMS // N_GROUPS).indices}


@pytest.mark.parametrize("user", range(8))
def test_the_items_of_the_group_are_the_best(scorer: BPRMF, user: int) -> None:
    assert best(scorer, user, []) == {user % N_GROUPS}


@pytest.mark.parametrize("group", range(N_GROUPS))
@pytest.mark.parametrize("user", [-1, 10_000])
def test_a_new_user_is_placed_by_history(scorer: BPRMF, group: int, user: int) -> None:
    assert best(scorer, user, [group, group + N_GROUPS]) == {group}


def test_a_new_user_without_history_gets_the_biases(scorer: BPRMF) -> None:
    scores = scorer.scores(np.array([-1], np.int32), Ragged.of([[]]))[0]
    assert scores.numpy() == pytest.approx(torch.from_numpy(scorer.biases).softmax(dim=0).numpy(), abs=1e-6)


def test_a_step_follows_the_gradient_of_the_objective() -> None:
    scorer, rng = BPRMF(BPRMFConfig(n_factors=3, l2=0.3, learning_rate=1e-3)), np.random.default_rng(1)
    tables = [torch.from_numpy(rng.normal(size=(4, n)).astype(np.float32)) for n in (3, 3, 1)]
    before = [table.clone().requires_grad_() for table in tables]
    u, i, j = (np.array([code]) for code in (0, 1, 2))
    x, y, z = before[0][0], before[1][1], before[1][2]
    b, c = before[2][1], before[2][2]
    gain = torch.nn.functional.logsigmoid(x @ (y - z) + b - c)
    loss = -gain + 0.3 * (x.square().sum() + y.square().sum() + z.square().sum() + b.square() + c.square())
    loss.sum().backward()
    scorer._step(tables, [torch.zeros(4, 1) for _ in tables], u, i, j)
    for table, old in zip(tables, before, strict=True):
        assert old.grad is not None
        length = old.grad.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
        expected = old.detach() - 1e-3 * old.grad / length
        assert table.numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_heavier_events_are_drawn_more_often() -> None:
    events = events_of([[0, 1]] * 300)
    weights = np.tile([9.0, 1.0], 300).astype(np.float32)
    weighted = type(events)(events.offsets, events.items, events.times, {"weight": weights})
    catalogue = Catalogue(pd.DataFrame({"item": range(3), "domain": "default"}))
    scorer = BPRMF(BPRMFConfig(n_factors=2, l2=0.05))
    scorer.fit(weighted, catalogue)
    assert scorer.biases[0] > scorer.biases[1] > scorer.biases[2]


def test_equal_data_give_equal_vectors(scorer: BPRMF) -> None:
    assert (fitted().vectors == scorer.vectors).all()
