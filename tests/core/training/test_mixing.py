"""What is tried while the mixture is chosen is what the model will answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from p5core.contracts.part import NoOptions
from p5core.data.dataset import Ragged
from p5core.model.cooccurrence import MIXTURES, Memory
from p5core.model.network_scorer import NetworkScorer
from p5core.model.options import NeighboursConfig
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import toy_world
from p5core.training.blending import _Both


@pytest.mark.parametrize("mixture", MIXTURES)
def test_what_is_tried_is_what_the_model_scores(mixture: tuple[float, float]) -> None:
    world = toy_world()
    network = build_network(PastMean(NoOptions(), 8, 9), world).eval()
    network.table.counts.copy_(torch.arange(float(world.n_items)))
    network.memory = memory = Memory(world.n_items, NeighboursConfig())
    memory.fill(world.events)
    asked, users = Ragged.of([[1, 2], [], [3], [5, 4, 3]]), np.full(4, -1, dtype=np.int32)
    both = _Both(NetworkScorer(network, 9), memory)
    memory.mixture.copy_(torch.tensor(mixture))
    tried = both.scores(users, asked)
    answered = NetworkScorer(network, 9).scores(users, asked)
    torch.testing.assert_close(tried.log_softmax(dim=1), answered.log_softmax(dim=1))
