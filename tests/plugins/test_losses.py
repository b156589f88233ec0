"""Losses against their formulas; what all of them promise is checked by the conformance kit."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from p5core.config.base import parse_config
from p5core.errors import ConfigError
from p5plugins.losses import chunks, sampled_softmax
from p5plugins.losses.bpr import BPR, BPRConfig
from p5plugins.losses.cross_entropy import CrossEntropy
from p5plugins.losses.gbce import GBCE, GBCEConfig
from p5plugins.losses.mse import MSE
from p5plugins.losses.options import SoftmaxConfig
from p5plugins.losses.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig


class Items:
    """A catalogue of fixed vectors that remembers what it was asked for."""

    def __init__(self, n_items: int, width: int, shares: Tensor | None = None) -> None:
        self.table = torch.randn(n_items, width, requires_grad=True)
        self.n_items = n_items
        self.log_frequency = torch.log(torch.full((n_items,), 1 / n_items) if shares is None else shares)
        self.asked: list[Tensor] = []

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        self.asked.append(torch.arange(self.n_items) if codes is None else codes)
        return self.table if codes is None else self.table[codes]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sample(n_states: int, n_items: int, width: int = 8) -> tuple[Tensor, Tensor, Items]:
    states = torch.randn(n_states, width, requires_grad=True)
    return states, torch.randint(n_items, (n_states,)), Items(n_items, width)


def gradients(loss: Tensor, states: Tensor, items: Items) -> tuple[Tensor, Tensor]:
    found = torch.autograd.grad(loss, (states, items.table))
    return found[0], found[1]


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_cross_entropy_is_minus_the_log_softmax_of_the_right_item(temperature: float) -> None:
    states, targets, items = sample(5, 7)
    log_shares = torch.log_softmax(states @ items.table.T / temperature, dim=1)
    wanted = -torch.stack([log_shares[row, code] for row, code in enumerate(targets)]).mean()
    torch.testing.assert_close(CrossEntropy(SoftmaxConfig(temperature=temperature))(states, targets, items), wanted)


@pytest.fixture(params=[1, 3, 10, 64])
def chunk_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many states are scored at once, whatever the catalogue."""
    monkeypatch.setattr(chunks, "rows_at_once", lambda *_: request.param)
    return int(request.param)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_chunks_change_neither_the_loss_nor_its_gradients(chunk_rows: int, temperature: float) -> None:
    states, targets, items = sample(10, 50)
    found = CrossEntropy(SoftmaxConfig(temperature=temperature))(states, targets, items)
    wanted = F.cross_entropy(states / temperature @ items.table.T, targets)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for one, other in zip(gradients(3 * found, states, items), gradients(3 * wanted, states, items), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_all_scores_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    states, targets, items = sample(1_000, 10_000)
    sizes = []
    log_softmax = Tensor.log_softmax

    def measured(scores: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        sizes.append(len(scores))
        return log_softmax(scores, dim, dtype=dtype)

    monkeypatch.setattr(Tensor, "log_softmax", measured)
    CrossEntropy(SoftmaxConfig())(states, targets, items).backward()
    assert sizes == [256, 256, 256, 232]
    assert chunks.rows_at_once(1_000) == 1_048


def test_gradients_of_doubles_are_as_exact_as_doubles() -> None:
    states, vectors = (torch.randn(rows, 4, dtype=torch.float64, requires_grad=True) for rows in (6, 9))
    assert torch.autograd.gradcheck(chunks.cross_entropy_in_chunks, (states, vectors, torch.randint(9, (6,))))


@pytest.mark.parametrize("loss", [CrossEntropy(SoftmaxConfig()), SampledSoftmax(SampledSoftmaxConfig(n_uniform=9_000))])
def test_a_softmax_multiplies_in_the_type_of_autocast(loss: CrossEntropy | SampledSoftmax) -> None:
    states, targets, items = sample(10, 50)
    torch.manual_seed(0)
    exact = loss(states, targets, items)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        low = loss(states, targets, items)
    assert low.dtype == torch.float32
    assert low != exact
    torch.testing.assert_close(low, exact, atol=0.02, rtol=0.01)
    for one, other in zip(gradients(low, states, items), gradients(exact, states, items), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=0.01, rtol=0.03)


def test_the_sampled_softmax_is_that_of_corrected_scores(chunk_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    states, targets, items = sample(10, 50)
    uniform = torch.randint(50, (30,))
    monkeypatch.setattr(torch, "randint", lambda *size, **_: uniform)
    found = SampledSoftmax(SampledSoftmaxConfig(n_uniform=30, in_batch=False, temperature=0.7))(states, targets, items)
    corrections = torch.log(torch.bincount(uniform, minlength=50) / (30 / 50))  # -inf where nothing was drawn
    right = F.one_hot(targets, 50).bool()
    wanted = F.cross_entropy(states @ items.table.T / 0.7 + torch.where(right, 0.0, corrections), targets)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(gradients(found, states, items), gradients(wanted, states, items), strict=True):
        torch.testing.assert_close(one, other)


def test_sampled_softmax_nears_the_full_one_as_the_sample_grows() -> None:
    states, targets, items = sample(64, 200)
    full = CrossEntropy(SoftmaxConfig())(states, targets, items)
    for in_batch in (False, True):
        sampled = SampledSoftmax(SampledSoftmaxConfig(n_uniform=400_000, in_batch=in_batch))(states, targets, items)
        torch.testing.assert_close(sampled, full, atol=0.02, rtol=0)


def test_the_correction_estimates_the_sum_over_the_catalogue_without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = torch.softmax(torch.randn(30), dim=0)
    items, state = Items(30, 8, shares), 0.3 * torch.randn(1, 8)
    scores = (state @ items.table.T)[0].detach()
    loss = SampledSoftmax(SampledSoftmaxConfig(n_uniform=30))
    estimates: list[Tensor] = []

    def summed(states: Tensor, vectors: Tensor, targets: Tensor, corrections: Tensor) -> Tensor:
        counted = (states[0] @ vectors.T + corrections).detach().exp()
        estimates.append(counted.sum() - counted[targets[0]])  # of the wrong items of the first state
        return states.sum()

    monkeypatch.setattr(sampled_softmax, "cross_entropy_in_chunks", summed)
    for _ in range(500):
        targets = torch.cat([torch.tensor([3]), torch.multinomial(shares, 19, replacement=True)])
        loss(state.expand(20, -1), targets, items)
    wanted = scores.exp().sum() - scores[3].exp()
    found = torch.stack(estimates)
    error = found.std() / math.sqrt(len(found))
    assert (found.mean() - wanted).abs() < 4 * error < 0.05 * wanted


def test_without_in_batch_the_targets_of_others_are_no_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    states, targets, items = sample(4, 1000)
    monkeypatch.setattr(torch, "randint", lambda *size, **_: torch.tensor([7]))
    loss = SampledSoftmax(SampledSoftmaxConfig(n_uniform=1, in_batch=False))(states, targets, items)
    right, wrong = (states * items.table[targets]).sum(1), states @ items.table[7] + math.log(1000)
    torch.testing.assert_close(loss, F.softplus(wrong - right).mean())


def test_a_right_item_drawn_as_a_wrong_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    states, _, items = sample(3, 10)
    monkeypatch.setattr(torch, "randint", lambda *size, **_: torch.full((5,), 4))
    loss = SampledSoftmax(SampledSoftmaxConfig(n_uniform=5))(states, torch.full((3,), 4), items)
    assert loss.item() == 0


def test_one_state_without_uniform_draws_has_nothing_to_compare() -> None:
    states, targets, items = sample(1, 10)
    loss = SampledSoftmax(SampledSoftmaxConfig(n_uniform=0))(states, targets, items)
    assert loss.item() == 0
    assert not gradients(loss, states, items)[0].any()


def test_a_sample_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to compare with; set one of them"):
        parse_config(SampledSoftmaxConfig, {"n_uniform": 0, "in_batch": False}, "loss")


def test_bpr_is_minus_the_log_sigmoid_of_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    states, _, items = sample(2, 10)
    targets, wrong = torch.tensor([1, 2]), torch.tensor([[5, 1, 7], [1, 2, 2]])
    monkeypatch.setattr(torch, "randint", lambda *size, **_: wrong)
    scores = states @ items.table.T
    pairs = [(0, 1, 5), (0, 1, 7), (1, 2, 1)]  # the draws that hit the right item are left out
    wanted = -torch.stack([F.logsigmoid(scores[row, good] - scores[row, bad]) for row, good, bad in pairs]).mean()
    torch.testing.assert_close(BPR(BPRConfig(n_negatives=3))(states, targets, items), wanted)


@pytest.mark.parametrize("loss", [BPR(BPRConfig()), GBCE(GBCEConfig()), SampledSoftmax(SampledSoftmaxConfig())])
def test_a_catalogue_of_one_item_gives_a_finite_loss(loss: BPR | GBCE | SampledSoftmax) -> None:
    states, targets, items = sample(4, 1)
    assert loss(states, targets, items).isfinite()


@pytest.mark.parametrize("loss", [BPR(BPRConfig()), GBCE(GBCEConfig()), SampledSoftmax(SampledSoftmaxConfig())])
def test_sampling_losses_encode_no_item_twice(loss: BPR | GBCE | SampledSoftmax) -> None:
    states, targets, items = sample(50, 20)
    loss(states, targets, items)
    assert len(items.asked) == 1
    assert items.asked[0].unique().numel() == items.asked[0].numel()


def test_gbce_is_binary_cross_entropy_with_a_power(monkeypatch: pytest.MonkeyPatch) -> None:
    states, _, items = sample(2, 10)
    targets, wrong = torch.tensor([1, 2]), torch.tensor([5, 1, 7])
    monkeypatch.setattr(torch, "randint", lambda *size, **_: wrong)
    loss = GBCE(GBCEConfig(n_negatives=3, t=0.5))
    chances = torch.sigmoid(states @ items.table.T)
    alpha = 3 / 9
    beta = alpha * (0.5 * (1 - 1 / alpha) + 1 / alpha)
    rights = [-beta * chances[0, 1].log(), -beta * chances[1, 2].log()]
    wrongs = [-(1 - chances[row, code]).log() for row, code in [(0, 5), (0, 7), (1, 5), (1, 1), (1, 7)]]
    torch.testing.assert_close(loss(states, targets, items), torch.stack(rights + wrongs).mean())


@pytest.mark.parametrize(("t", "beta"), [(0.0, 1.0), (1.0, 3 / 9)])
def test_gbce_calibrates_from_one_to_the_sampled_share(t: float, beta: float) -> None:
    assert GBCE(GBCEConfig(n_negatives=3, t=t)).beta(10) == pytest.approx(beta)


def test_mse_by_hand() -> None:
    loss = MSE(MSE.Config())(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0]))
    assert loss.item() == 2.0
