"""The network: states of histories, masks at the end, ratings, and equal seeds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from p5core.config.experiment import ModelConfig
from p5core.contracts.backbone import Backbone
from p5core.contracts.part import NoOptions
from p5core.data.batch import Batch
from p5core.data.dataset import Dataset
from p5core.data.vocabulary import Vocabulary
from p5core.model.build import build_network as build
from p5core.model.build import count_items
from p5core.model.network import Network
from p5core.plugins.registry import load_plugins
from p5core.testing.toys import AllMean, PastMean, UserVector, build_network
from p5core.testing.world import toy_world

WIDTH = 4


def network_of(backbone: type[Backbone], rating_mean: float | None = None) -> Network:
    torch.manual_seed(0)
    return build_network(backbone(NoOptions(), WIDTH, 12), toy_world(), rating_mean=rating_mean).eval()


def padded(*histories: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Users 0.., items (B, T) with item 7 at padding, and lengths."""
    longest = max(1, *map(len, histories))
    items = torch.tensor([[*one, *[7] * (longest - len(one))] for one in histories])
    return torch.arange(len(histories)), items, torch.tensor([len(one) for one in histories])


def test_the_last_state_of_a_causal_network_is_that_of_the_last_item() -> None:
    network = network_of(PastMean)
    vectors = network.table.vectors()
    found = network.last_states(*padded([1, 2, 3], [4], [5, 5]))
    wanted = torch.stack([vectors[[1, 2, 3]].mean(dim=0), vectors[4], vectors[5]])
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_bidirectional_network_is_asked_through_a_mask_behind_the_last_item() -> None:
    network = network_of(AllMean)
    assert network.mask_vector is not None
    vectors, mask = network.table.vectors(), network.mask_vector
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
    assert network.user_vectors is not None
    one, other = network.last_states(*padded([1, 2], [1, 2]))
    assert torch.equal(one, network.user_vectors.weight[0])
    assert torch.equal(other, network.user_vectors.weight[1])
    assert len(network.row_labels()["user_vectors.weight"]) == toy_world().events.n_users


def test_ratings_are_mean_plus_biases_plus_affinity() -> None:
    network = network_of(UserVector, rating_mean=3.5)
    head = network.rating_head
    assert head is not None
    assert head.user_bias is not None
    torch.nn.init.normal_(head.user_bias.weight)
    torch.nn.init.normal_(head.item_bias.weight)
    states, users, items = torch.randn(3, WIDTH), torch.tensor([2, 0, -1]), torch.tensor([5, 6, 5])
    user_bias = torch.stack([head.user_bias.weight[2, 0], head.user_bias.weight[0, 0], torch.tensor(0.0)])
    affinity = (states * network.table.vectors()[items]).sum(dim=1)
    wanted = 3.5 + user_bias + head.item_bias.weight[items, 0] + affinity
    assert torch.allclose(network.ratings(states, users, items), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="built without a rating head"):
        network_of(PastMean).ratings(states, users, items)


def test_where_histories_are_read_the_bias_is_read_from_the_state() -> None:
    network = network_of(PastMean, rating_mean=3.5)
    head = network.rating_head
    assert head is not None
    assert head.state_bias is not None
    torch.nn.init.normal_(head.state_bias.weight)
    states, items = torch.randn(2, WIDTH), torch.tensor([5, 6])
    affinity = (states * network.table.vectors()[items]).sum(dim=1)
    wanted = 3.5 + states @ head.state_bias.weight[0] + affinity
    for users in (torch.tensor([0, 1]), torch.tensor([-1, -1])):
        assert torch.allclose(network.ratings(states, users, items), wanted, atol=1e-6)


def test_rows_that_grow_are_named_in_the_state() -> None:
    for backbone in (PastMean, AllMean, UserVector):
        network = network_of(backbone, rating_mean=1.0)
        state = network.state_dict()
        assert all(len(rows) == len(state[name]) for name, rows in network.row_labels().items())


@pytest.mark.parametrize(("name", "length"), [("gpt", 9), ("bert", 10)])
def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone(name: str, length: int) -> None:
    world = toy_world()
    users = Vocabulary.of([f"u{code}" for code in range(world.events.n_users)])
    dataset = Dataset(world.events, users, world.catalogue, None, has_clock=True)
    config = ModelConfig.model_validate({"width": 8, "max_length": 9, "backbone": {"name": name}})
    state = torch.get_rng_state()
    one, other, third = (build(config, load_plugins(), dataset, None, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
    assert any(not torch.equal(value, third.state_dict()[key]) for key, value in one.state_dict().items())
    assert one.backbone.max_length == length
    events = world.events.select(world.events.items < 5)
    count_items(one, events)
    assert one.table.counts.tolist() == [1.0] * 5 + [0.0] * (world.n_items - 5)
