"""Helpers of the checks that use torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["assert_close", "assert_finite", "assert_gradients", "copy_weights", "seeded"]


def seeded(*checks: Check) -> tuple[Check, ...]:
    """The checks with a fixed start of torch's random draws, which are put back afterwards."""

    def wrap(check: Check) -> Check:
        @functools.wraps(check)
        def run(subject: Subject) -> None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                check(subject)

        return run

    return tuple(wrap(check) for check in checks)


def assert_close(actual: Tensor, expected: Tensor, promise: str) -> None:
    """Raise with the promise and the largest difference unless both are equal up to rounding."""
    assert actual.shape == expected.shape, (
        f"{promise} Shapes differ: {tuple(actual.shape)} and {tuple(expected.shape)}."
    )
    worst = (actual - expected).abs().max().item() if actual.numel() else 0.0
    assert torch.allclose(actual, expected, rtol=1e-4, atol=1e-5), f"{promise} Largest difference: {worst:.3g}."


def assert_finite(values: Tensor, what: str) -> None:
    """Raise when there is a NaN or an infinity."""
    assert bool(values.isfinite().all()), f"{what} must be finite; found NaN or infinite values."


def assert_gradients(module: nn.Module, compute: Callable[[], Tensor]) -> None:
    """Raise unless every parameter takes part in the scalar that `compute` returns."""
    module.zero_grad()
    torch.autograd.backward(compute())
    for name, parameter in module.named_parameters():
        unused = f"The parameter '{name}' gets no gradient: it is never used. Use it or leave it out."
        assert parameter.grad is not None, unused
        assert parameter.grad.any(), unused
        assert_finite(parameter.grad, f"The gradient of '{name}'")


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Carry the weights over as a safetensors file would; raises AssertionError when one cannot be stored or read."""
    try:
        content = save({name: value.contiguous() for name, value in source.state_dict().items()})
        target.load_state_dict(load(content))
    except RuntimeError as error:
        raise AssertionError(f"The weights do not survive a safetensors file: {error}") from error
