"""Step sizes and weight decay."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from p5core.config.experiment import OptimiserConfig
from p5core.training.optimiser import build_optimiser, clip_norm, set_learning_rate, step_share

CONFIG = OptimiserConfig(learning_rate=0.5, warmup=0.2, final_share=0.1, weight_decay=0.3)


def test_steps_rise_in_a_line_and_fall_in_a_cosine() -> None:
    shares = [step_share(step, 20, CONFIG) for step in range(21)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert shares[12] == pytest.approx(0.55)  # half way down
    assert shares[16] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.75)))
    assert shares[20] == pytest.approx(0.1)


def test_without_warm_up_the_first_step_is_the_highest() -> None:
    assert step_share(0, 10, OptimiserConfig(warmup=0)) == 1.0


@given(st.integers(1, 500), st.floats(0, 0.99), st.floats(0, 1))
def test_steps_stay_between_nothing_and_the_highest(n_steps: int, warmup: float, final: float) -> None:
    config = OptimiserConfig(warmup=warmup, final_share=final)
    shares = [step_share(step, n_steps, config) for step in range(n_steps + 3)]
    top = shares.index(max(shares))
    assert all(0 < share <= 1 for share in shares[:n_steps]) or final == 0
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert shares[-1] == pytest.approx(final)


def test_the_step_size_follows_the_position() -> None:
    optimiser = build_optimiser(nn.Linear(2, 2), CONFIG)
    for position in (0, 1, 4.5, 9):
        set_learning_rate(optimiser, CONFIG, position, 10)
        assert {group["lr"] for group in optimiser.param_groups} == {0.5 * step_share(position, 10, CONFIG)}


def test_matrices_of_layers_alone_decay() -> None:
    module = nn.ModuleDict({"table": nn.Embedding(3, 2), "layer": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
    optimiser = build_optimiser(module, CONFIG)
    decay = {id(one): group["weight_decay"] for group in optimiser.param_groups for one in group["params"]}
    found = {name: decay[id(one)] for name, one in module.named_parameters()}
    assert {name for name, value in found.items() if value} == {"layer.weight"}
    assert found["layer.weight"] == 0.3
    assert set(found) == {name for name, _ in module.named_parameters()}


def test_a_module_of_embeddings_alone_has_one_group() -> None:
    optimiser = build_optimiser(nn.Embedding(3, 2), CONFIG)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.0]
    assert isinstance(optimiser, torch.optim.AdamW)


def trained(sparse: bool, batches: list[list[int]]) -> torch.Tensor:
    """An embedding after some steps that each pull the rows of a batch towards one."""
    torch.manual_seed(0)
    table = nn.Embedding(6, 3, sparse=sparse)
    optimiser = build_optimiser(table, CONFIG)
    for rows in batches:
        (table(torch.tensor(rows)) - 1).square().sum().backward()
        clip_norm(table.parameters(), 0.7)
        optimiser.step()
        optimiser.zero_grad()
    return table.weight.detach()


def test_steps_of_rows_are_those_of_adam_while_all_rows_occur() -> None:
    batches = [[0, 1, 2, 3, 4, 5, 5], [5, 4, 3, 2, 1, 0, 0]]
    torch.testing.assert_close(trained(True, batches), trained(False, batches))


def test_rows_that_do_not_occur_stay_as_they_are() -> None:
    before = trained(True, [])
    after = trained(True, [[1, 1, 4], [1]])
    assert (after != before).any(dim=1).tolist() == [False, True, False, False, True, False]
    assert torch.equal(after[4], trained(True, [[1, 1, 4]])[4])


def test_a_clipped_gradient_keeps_its_direction() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.grad, layer.bias.grad = torch.full((2, 3), 3.0), torch.full((2,), -4.0)
    length = math.sqrt(6 * 9 + 2 * 16)
    clip_norm(layer.parameters(), 1.0)
    torch.testing.assert_close(layer.weight.grad, torch.full((2, 3), 3 / length))
    torch.testing.assert_close(layer.bias.grad, torch.full((2,), -4 / length))
    clip_norm(layer.parameters(), 5.0)
    torch.testing.assert_close(layer.bias.grad, torch.full((2,), -4 / length))
