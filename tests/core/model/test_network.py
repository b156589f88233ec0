"""The network: states of histories, masks at the end, layers of tasks, and equal seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from p5core.config.experiment import Experiment
from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import RowLabels
from p5core.contracts.part import NoOptions
from p5core.contracts.task import Task, TaskInfo
from p5core.data.batch import Batch
from p5core.data.dataset import Dataset
from p5core.data.vocabulary import Vocabulary
from p5core.model.build import build_network as build
from p5core.model.build import count_items
from p5core.model.features import compute_features
from p5core.model.network import Network
from p5core.plugins.discovery import load_plugins
from p5core.testing.toys import AllMean, PastMean, UserVector, build_network
from p5core.testing.world import toy_world
from p5plugins.tasks.next_item import NextItem

WIDTH = 4


def network_of(backbone: type[Backbone], task: Task | None = None) -> Network:
    torch.manual_seed(0)
    return build_network(backbone(NoOptions(), WIDTH, 12), toy_world(), task=task).eval()


def padded(*histories: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Users 0.., items (B, T) with item 7 at padding, and lengths."""
    longest = max(1, *map(len, histories))
    items = torch.tensor([[*one, *[7] * (longest - len(one))] for one in histories])
    return torch.arange(len(histories)), items, torch.tensor([len(one) for one in histories])


def test_the_last_state_of_a_causal_network_is_that_of_the_last_item() -> None:
    network = network_of(PastMean)
    vectors = network.items.vectors()
    found = network.last_states(*padded([1, 2, 3], [4], [5, 5]))
    wanted = torch.stack([vectors[[1, 2, 3]].mean(dim=0), vectors[4], vectors[5]])
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_bidirectional_network_is_asked_through_a_mask_behind_the_last_item() -> None:
    network = network_of(AllMean)
    assert network.mask_vector is not None
    vectors, mask = network.items.vectors(), network.mask_vector
    found = network.last_states(*padded([1, 2], [4, 4, 5]))
    for state, history in zip(found, ([1, 2], [4, 4, 5]), strict=True):
        read = torch.cat([vectors[history], mask[None]])
        assert torch.allclose(state, mask + read.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("backbone", [PastMean, AllMean])
def test_what_stands_at_padding_and_beside_a_history_changes_nothing(backbone: type[Backbone]) -> None:
    network = network_of(backbone)
    users, items, lengths = padded([1, 2], [3, 4, 5, 6])
    other = items.clone()
    other[0, 2:] = 9
    assert torch.equal(network.last_states(users, items, lengths), network.last_states(users, other, lengths))
    alone = network.last_states(*padded([1, 2]))
    assert torch.allclose(network.last_states(users, items, lengths)[:1], alone, atol=1e-6)


@pytest.mark.parametrize("backbone", [PastMean, AllMean, UserVector])
def test_the_state_of_an_empty_history_is_finite(backbone: type[Backbone]) -> None:
    network = network_of(backbone)
    assert network.last_states(*padded([], [1])).isfinite().all()


@pytest.mark.parametrize("backbone", [AllMean, PastMean])
def test_masked_items_are_hidden_from_the_backbone(backbone: type[Backbone]) -> None:
    network = network_of(backbone)
    users, items, lengths = padded([1, 2, 3])
    masked = torch.tensor([[False, True, False]])
    nothing = torch.full_like(items, -1)
    states = network.states(Batch(users, items, lengths, nothing, masked=masked))
    other = items.clone()
    other[0, 1] = 8
    assert torch.equal(states, network.states(Batch(users, other, lengths, nothing, masked=masked)))
    plain = network.states(Batch(users, items, lengths, nothing))
    assert not torch.equal(states, plain)


def test_user_vectors_take_the_place_of_histories() -> None:
    network = network_of(UserVector)
    assert network.users is not None
    vectors = network.users.encode(torch.tensor([0, 1]))
    assert torch.equal(network.last_states(*padded([1, 2], [1, 2])), vectors)


class _Counting(NextItem):
    """A task with a weight for each item and a layer."""

    name = "counting"

    def layers(self, info: TaskInfo) -> nn.Module:
        return nn.ModuleDict({"head": nn.Linear(info.width, 1), "bias": nn.Embedding(info.n_items, 1)})

    def row_labels(self) -> Mapping[str, RowLabels]:
        return {"bias.weight": "item"}


def test_layers_of_a_task_are_part_of_the_network() -> None:
    network = network_of(PastMean, _Counting(NoOptions(), None))
    state = network.state_dict()
    assert {"tasks.counting.head.weight", "tasks.counting.bias.weight"} <= set(state)
    assert network.row_labels()["tasks.counting.bias.weight"] == "item"
    assert len(state["tasks.counting.bias.weight"]) == toy_world().n_items
    assert network.task_layers["counting"] is network.tasks["counting"]


@pytest.mark.parametrize(("name", "length"), [("gpt", 9), ("bert", 10)])
def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone(name: str, length: int) -> None:
    world = toy_world()
    users = Vocabulary.of([f"u{code}" for code in range(world.events.n_users)])
    dataset = Dataset(world.events, users, world.catalogue, pd.DataFrame({"user": users.ids}), has_clock=True)
    model = {"width": 8, "max_length": 9, "backbone": {"name": name}}
    registry, experiment = load_plugins(), Experiment.model_validate({"data": {"name": "synthetic"}, "model": model})
    features = compute_features(experiment, registry, dataset)
    state = torch.get_rng_state()
    one, other, third = (
        build(experiment.model_copy(update={"seed": seed}), registry, dataset, world.events, features)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
    assert any(not torch.equal(value, third.state_dict()[key]) for key, value in one.state_dict().items())
    assert one.backbone.max_length == length
    events = world.events.select(world.events.items < 5)
    count_items(one, events)
    assert one.items.counts.tolist() == [1.0] * 5 + [0.0] * (world.n_items - 5)
