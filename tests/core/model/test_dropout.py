"""Dropout: what it keeps, how it scales, whose random state it uses."""

from __future__ import annotations

import pytest
import torch

from p5core.model.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_share_is_dropped_and_the_rest_scaled_up(share: float) -> None:
    torch.manual_seed(0)
    values = Dropout(share)(torch.ones(1000, 1003))
    assert (values == 0).float().mean().item() == pytest.approx(share, abs=0.002)
    torch.testing.assert_close(
        values[values > 0], torch.full_like(values[values > 0], 1 / (1 - share)), rtol=1e-4, atol=0
    )


def test_entries_that_share_a_draw_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(250_000, 4)) > 0).float()
    torch.testing.assert_close(torch.corrcoef(kept.T), torch.eye(4), rtol=0, atol=0.01)
    torch.testing.assert_close(kept.mean(dim=0), torch.full((4,), 0.5), rtol=0, atol=0.005)


def test_gradients_pass_where_entries_were_kept() -> None:
    values = torch.randn(7, 5, dtype=torch.bfloat16, requires_grad=True)
    dropped = Dropout(0.4)(values)
    assert dropped.dtype == torch.bfloat16
    dropped.float().sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad == 0, dropped == 0)


def test_the_seed_decides() -> None:
    values, dropout = torch.ones(100), Dropout(0.5)
    torch.manual_seed(3)
    first = dropout(values)
    torch.manual_seed(3)
    assert torch.equal(dropout(values), first)
    assert not torch.equal(dropout(values), first)


def test_nothing_is_dropped_outside_training_or_without_a_share() -> None:
    values = torch.randn(50)
    assert torch.equal(Dropout(0.9).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)


def test_everything_can_be_dropped() -> None:
    assert not Dropout(1.0)(torch.ones(50)).any()
