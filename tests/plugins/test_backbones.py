"""Backbones: what each one computes; what all of them promise is checked by the conformance kit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from p5core.errors import ConfigError
from p5plugins.backbones.bag import Bag, BagConfig
from p5plugins.backbones.bert import BERT
from p5plugins.backbones.blocks import SelfAttention, TransformerConfig
from p5plugins.backbones.filter import Filter, FilterConfig, _Block
from p5plugins.backbones.gpt import GPT
from p5plugins.backbones.mf import MF, MFConfig
from p5plugins.backbones.mlp import MLP, MLPConfig
from p5plugins.backbones.recurrent import GRU, LSTM, RecurrentConfig


def attention_by_hand(attention: SelfAttention, states: Tensor, allowed: Tensor) -> Tensor:
    """Softmax attention in plain matrix products; `allowed` (T, T) bool."""
    query, key, value = attention.project_in(states).chunk(3, dim=-1)
    heads = []
    for q, k, v in zip(*(one.chunk(attention.n_heads, dim=-1) for one in (query, key, value)), strict=True):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        heads.append(torch.softmax(scores.masked_fill(~allowed, -torch.inf), dim=-1) @ v)
    return attention.project_out(torch.cat(heads, dim=-1))


def test_causal_attention_equals_plain_matrix_products() -> None:
    attention = SelfAttention(8, 2, dropout=0.0, causal=True)
    states = torch.randn(3, 5, 8)
    allowed = torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(attention(states), attention_by_hand(attention, states, allowed))


def test_masked_attention_equals_plain_matrix_products() -> None:
    attention = SelfAttention(8, 4, dropout=0.0, causal=False)
    states, visible = torch.randn(1, 4, 8), torch.tensor([[True, False, True, True]])
    torch.testing.assert_close(attention(states, visible), attention_by_hand(attention, states, visible.expand(4, 4)))


@pytest.mark.parametrize("backbone", [BERT, GPT])
def test_heads_must_share_the_width(backbone: type[BERT | GPT]) -> None:
    with pytest.raises(ConfigError, match=r"model\.width 10 cannot be shared by 4 attention heads.*multiple of 4"):
        backbone(TransformerConfig(n_heads=4), 10, 5)


def test_a_bag_is_layers_over_the_mean_of_the_items() -> None:
    bag = Bag(BagConfig(n_layers=1), 4, 10).eval()
    vectors, real = torch.randn(2, 3, 4), torch.tensor([[True, True, True], [True, True, False]])
    states = bag(vectors, real)
    for row, n in enumerate((3, 2)):
        mean = bag.first(vectors[row, :n].mean(dim=0))
        (layers,) = bag.layers
        expected = bag.norm(mean + layers(mean))
        for place in range(n):
            torch.testing.assert_close(states[row, place], expected)
    torch.testing.assert_close(bag(vectors.flip(1), real.flip(1)), states.flip(1))


def test_transformers_start_from_small_normal_weights() -> None:
    backbone = GPT(TransformerConfig(), 128, 50)
    for module in backbone.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if isinstance(module, nn.Linear):
            assert not module.bias.any()


def test_an_empty_history_stays_finite() -> None:
    backbone = BERT(TransformerConfig(), 8, 5).eval()
    assert backbone(torch.zeros(2, 3, 8), torch.zeros(2, 3, dtype=torch.bool)).isfinite().all()


def test_feedforward_scales_with_the_width() -> None:
    backbone = GPT(TransformerConfig(feedforward=1.5, n_layers=3), 8, 5)
    inner = [one.out_features for one in backbone.modules() if isinstance(one, nn.Linear) and one.out_features == 12]
    assert len(inner) == 3


def test_mlp_means_fade_with_age() -> None:
    backbone = MLP(MLPConfig(n_means=2), 4, 10)
    weights = backbone._weights(torch.zeros(1, 3, 4))  # (M, T, T)
    for mean, rate in zip(weights, nn.functional.softplus(backbone.rates).tolist(), strict=True):
        decay = math.exp(-rate)
        raw = torch.tensor([[1, 0, 0], [decay, 1, 0], [decay**2, decay, 1]])
        torch.testing.assert_close(mean, raw / raw.sum(dim=1, keepdim=True))
    assert weights[0, 2, 0] < 0.15 < 0.3 < weights[1, 2, 0]


def test_mf_returns_the_vector_of_the_user() -> None:
    vectors = torch.randn(2, 3, 4)
    nobody = torch.zeros(2, 3, dtype=torch.bool)
    assert torch.equal(MF(MFConfig(), 4, 5)(vectors, nobody), vectors)
    assert (MF(MFConfig(dropout=0.5), 400, 5)(torch.ones(1, 1, 400), nobody[:1, :1]) == 0).any()


@pytest.mark.parametrize("backbone", [GRU, LSTM])
def test_attention_lets_a_recurrent_network_look_back(backbone: type[GRU | LSTM]) -> None:
    plain = backbone(RecurrentConfig(), 4, 10)
    attentive = backbone(RecurrentConfig(attention=True), 4, 10).eval()
    assert plain.attention is None
    assert attentive.attention is not None
    # With the decoder reading its second half alone, what comes out is what the attention found.
    with torch.no_grad():
        attentive.decoder.weight.copy_(torch.cat([torch.zeros(4, 4), torch.eye(4)], dim=1))
        attentive.decoder.bias.zero_()
        vectors = torch.randn(2, 5, 4)
        found = attentive.attention(attentive.encoder(vectors)[0])
        torch.testing.assert_close(attentive(vectors, torch.ones(2, 5, dtype=torch.bool)), attentive.norm(found))


@pytest.mark.parametrize("n_layers", [1, 3])
def test_dropout_lies_between_recurrent_layers_only(n_layers: int) -> None:
    backbone = LSTM(RecurrentConfig(n_layers=n_layers, dropout=0.3), 4, 10)
    assert backbone.encoder.num_layers == n_layers
    assert backbone.encoder.dropout == (0.3 if n_layers > 1 else 0.0)


def test_what_an_export_traces_equals_what_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, real = torch.randn(2, 5, 4), torch.arange(5) < torch.tensor([5, 3])[:, None]
    for backbone in (
        GRU(RecurrentConfig(attention=True), 4, 10).eval(),
        GPT(TransformerConfig(), 4, 10).eval(),
        BERT(TransformerConfig(), 4, 10).eval(),
    ):
        with monkeypatch.context() as exporting:
            trained = backbone(vectors, real)
            exporting.setattr(torch.compiler, "is_exporting", lambda: True)
            assert torch.allclose(backbone(vectors, real)[real], trained[real], atol=1e-6)


def test_filters_are_weighted_sums_of_the_newest_positions() -> None:
    block = Filter(FilterConfig(n_layers=1, reach=3, dropout=0), 4, 9).blocks[0]
    nn.init.zeros_(block.feedforward[3].weight)
    states = torch.randn(2, 6, 4)
    seen = torch.cat([torch.zeros(2, 2, 4), block.filter_norm(states)], dim=1)
    by_hand = sum(block.taps[:, 0, nth] * seen[:, nth : nth + 6] for nth in range(3))
    torch.testing.assert_close(block(states), states + by_hand)


@pytest.mark.parametrize("reach", [1, 3, 20])
def test_one_filtered_state_is_that_of_all(reach: int) -> None:
    backbone = Filter(FilterConfig(reach=reach), 4, 9).eval()
    vectors, places = torch.randn(3, 7, 4), torch.tensor([6, 0, 4])
    real = torch.arange(7) <= places[:, None]
    wanted = backbone(vectors, real)[torch.arange(3), places]
    torch.testing.assert_close(backbone.state_at(vectors, real, places), wanted)


def test_filters_start_as_averages() -> None:
    taps = Filter(FilterConfig(reach=8), 16, 9).blocks[0].taps
    torch.testing.assert_close(taps.sum(dim=2), torch.ones(16, 1))
    assert (taps.diff(dim=2) > 0).all()  # newer positions count more


@pytest.mark.parametrize("length", [1, 3, 4, 9])
def test_a_filter_as_products_equals_the_convolution(length: int) -> None:
    block = _Block(FilterConfig(reach=4), 6)
    states = torch.randn(3, length, 6, requires_grad=True)
    found = [filtered(states) for filtered in (block._multiplied, block._convolved)]
    torch.testing.assert_close(found[0], found[1])
    gradients = [torch.autograd.grad(one.square().sum(), [states, block.taps]) for one in found]
    torch.testing.assert_close(gradients[0], gradients[1])
