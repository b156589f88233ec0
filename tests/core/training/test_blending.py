"""A blend that is tried is what the model will answer, and the better of its parts at least."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from p5core.contracts.part import NoOptions
from p5core.data.dataset import Ragged
from p5core.model.blend import Blend
from p5core.model.network_scorer import NetworkScorer
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import toy_world
from p5core.training.blending import WEIGHTS, _Both
from p5plugins.scorers.cooccurrence import CoOccurrence, CoOccurrenceConfig


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n_before", [0, 1])
def test_what_is_tried_is_what_the_model_scores(weights: tuple[float, float], n_before: int) -> None:
    world = toy_world()
    network = build_network(PastMean(NoOptions(), 8, 9), world).eval()
    network.items.counts.copy_(torch.arange(float(world.n_items)))
    scorers = []
    for window in (30, 2)[: n_before + 1]:
        scorers.append(CoOccurrence(CoOccurrenceConfig(window=window)))
        scorers[-1].fit(world.events, world.catalogue)
    before = Blend(scorers[:-1], (1.0, *[0.7] * n_before))
    asked, users = Ragged.of([[1, 2], [], [3], [5, 4, 3]]), np.full(4, -1, dtype=np.int32)
    both = _Both(NetworkScorer(network, 9), before, Blend(scorers, (*before.weights, 0.0)))
    both.use(weights)
    tried = both.scores(users, asked)
    final = Blend(scorers, (*(weights[0] * one for one in before.weights), weights[1]))
    answered = NetworkScorer(network, 9, final).scores(users, asked)
    known = [0, 2, 3]  # an empty history gets the popular items from either
    torch.testing.assert_close(tried[known].log_softmax(dim=1), answered[known].log_softmax(dim=1))
    assert tried[1].argsort().tolist() == answered[1].argsort().tolist()
