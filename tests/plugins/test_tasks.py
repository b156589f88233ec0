"""Built-in tasks: what is specific to them, beside the conformance kit."""

from __future__ import annotations

from typing import cast

import torch

from p5core.contracts.backbone import Backbone
from p5core.contracts.part import NoOptions
from p5core.model.network import Network
from p5core.testing.toys import PastMean, SquaredError, UserVector, build_network
from p5core.testing.world import toy_world
from p5plugins.tasks.rating import RatingHead, RatingPrediction

WIDTH = 4
MEAN = float(toy_world().events.fields["rating"].mean())


def rating_network(backbone: type[Backbone]) -> tuple[RatingPrediction, Network, RatingHead]:
    torch.manual_seed(0)
    task = RatingPrediction(NoOptions(), SquaredError(NoOptions()))
    network = build_network(backbone(NoOptions(), WIDTH, 12), toy_world(), task=task).eval()
    head = cast("RatingHead", network.task_layers["rating"])
    torch.nn.init.normal_(head.item_bias.weight)
    return task, network, head


def test_ratings_are_mean_plus_biases_plus_affinity() -> None:
    task, network, head = rating_network(UserVector)
    assert head.user_bias is not None
    torch.nn.init.normal_(head.user_bias.weight)
    states, users, items = torch.randn(3, WIDTH), torch.tensor([2, 0, -1]), torch.tensor([5, 6, 5])
    user_bias = torch.stack([head.user_bias.weight[2, 0], head.user_bias.weight[0, 0], torch.tensor(0.0)])
    vectors = network.items.vectors()[items]
    expected = MEAN + user_bias + head.item_bias.weight[items, 0] + (states * vectors).sum(dim=1)
    assert torch.allclose(task.predict(head, "ratings", states, vectors, users, items), expected, atol=1e-6)


def test_where_histories_are_read_the_bias_is_read_from_the_state() -> None:
    task, network, head = rating_network(PastMean)
    assert head.state_bias is not None
    torch.nn.init.normal_(head.state_bias.weight)
    states, items = torch.randn(2, WIDTH), torch.tensor([5, 6])
    vectors = network.items.vectors()[items]
    expected = MEAN + states @ head.state_bias.weight[0] + head.item_bias.weight[items, 0] + (states * vectors).sum(1)
    for users in (torch.tensor([0, 1]), torch.tensor([-1, -1])):
        assert torch.allclose(task.predict(head, "ratings", states, vectors, users, items), expected, atol=1e-6)


def test_an_unknown_item_is_rated_as_an_average_one() -> None:
    task, _, head = rating_network(PastMean)
    nothing, unknown = torch.zeros(1, WIDTH), torch.tensor([-1])
    assert task.predict(head, "ratings", nothing, nothing, unknown, unknown).item() == torch.tensor(MEAN).item()
