"""The promises of every backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone, select_states
from p5core.testing.engine import ENGINE_CHECKS, EXPORT_CHECKS
from p5core.testing.tensors import assert_close, assert_finite, assert_gradients, copy_weights, seeded
from p5core.testing.toys import build_network

if TYPE_CHECKING:
    from p5core.testing.subject import Subject

__all__ = ["CHECKS"]

WIDTH, MAX_LENGTH = 16, 8
LENGTHS = (1, 2, 7, 15, 16, 17, 50, 64, 100, 200)
OVERFIT_STEPS = 60
OVERFIT_SHARE = 0.5
"""Largest share of the initial loss allowed after overfitting a few sequences."""


def states_have_the_shape_of_the_input(subject: Subject) -> None:
    """(B, T, D) stays (B, T, D) and finite, for any length from 1 to the longest, an empty history included."""
    backbone = _build(subject)
    for length in (1, 2, MAX_LENGTH):
        vectors, real = _histories([length, 1, 0], length)
        states = backbone(vectors, real)
        assert states.shape == vectors.shape, f"{tuple(vectors.shape)} became {tuple(states.shape)}."
        assert_finite(states, f"States of histories of {length}, 1 and 0 items")


def the_future_does_not_change_the_past(subject: Subject) -> None:
    """A causal backbone reads no position behind t for the state at t; any other one does."""
    backbone = _build(subject)
    vectors, real = _histories([MAX_LENGTH, MAX_LENGTH], MAX_LENGTH)
    before = backbone(vectors, real)
    for place in range(1, MAX_LENGTH):
        after = backbone(_changed(vectors, place), real)
        if backbone.causal:
            promise = f"causal = True, but a change at position {place} changes earlier states."
            assert_close(after[:, :place], before[:, :place], promise)
        else:
            differs = not torch.allclose(after[:, :place], before[:, :place])
            assert differs, "causal = False, but no state depends on a later position; set causal = True."


def history_is_read(subject: Subject) -> None:
    """The first item changes the last state."""
    backbone = _build(subject)
    if not backbone.uses_history:
        return
    vectors, real = _histories([4, 4], 4)
    differs = not torch.allclose(backbone(_changed(vectors, 0), real)[:, -1], backbone(vectors, real)[:, -1])
    assert differs, "The last state does not depend on the first item: the history is not read."


def order_is_read_or_not(subject: Subject) -> None:
    """A backbone whose `reads_order` is False gives the same last state to any order of the items."""
    backbone = _build(subject)
    if backbone.reads_order:
        return
    vectors, real = _histories([MAX_LENGTH, MAX_LENGTH], MAX_LENGTH)
    last = torch.full((2,), MAX_LENGTH - 1)
    turned = backbone.state_at(vectors.flip(1), real, last)
    assert_close(turned, backbone.state_at(vectors, real, last), "reads_order = False, but the order of items matters.")


def one_state_is_that_of_all(subject: Subject) -> None:
    """`state_at` gives what `forward` gives at the last real position of each row."""
    backbone = _build(subject)
    vectors, real = _histories([MAX_LENGTH, 3, 1, 0], MAX_LENGTH)
    places = (real.sum(dim=1) - 1).clamp_min(0)
    expected = select_states(backbone(vectors, real), places)[:3]
    assert_close(backbone.state_at(vectors, real, places)[:3], expected, "state_at and forward disagree.")
    assert_finite(backbone.state_at(vectors, real, places), "The state of an empty history")


def padding_changes_nothing(subject: Subject) -> None:
    """States of real positions are the same whatever stands behind them, and however much."""
    backbone = _build(subject)
    vectors, real = _histories([3, 2], 3)
    padded, longer = _histories([3, 2], MAX_LENGTH)
    padded[:, :3] = torch.where(real[..., None], vectors, padded[:, :3])
    garbage = torch.where(longer[..., None], padded, 100 * torch.randn_like(padded))
    expected = backbone(vectors, real)[real]
    for what, filled in (("zeros", padded), ("other values", garbage)):
        assert_close(backbone(filled, longer)[longer], expected, f"Padding of {what} changes states of real positions.")


def each_history_stands_alone(subject: Subject) -> None:
    """States do not depend on the other rows of the batch, nor on chance when training is over."""
    backbone = _build(subject)
    vectors, real = _histories([5, 3, 1, 4], 5)
    together = backbone(vectors, real)
    alone = torch.cat([backbone(vectors[row : row + 1], real[row : row + 1]) for row in range(4)])
    assert_close(alone[real], together[real], "States of a history depend on the other histories of the batch.")


def every_parameter_gets_a_gradient(subject: Subject) -> None:
    """No parameter is idle."""
    backbone = _build(subject).train()
    vectors, real = _histories([MAX_LENGTH, 5, 2], MAX_LENGTH)
    vectors.requires_grad_()
    weights = torch.randn_like(vectors)
    assert_gradients(backbone, lambda: cast("Tensor", (backbone(vectors, real) * weights)[real].sum()))
    gradient = vectors.grad
    reaches = gradient is not None and bool(gradient.any())
    assert reaches, "No gradient reaches the item vectors."


def long_histories_stay_finite(subject: Subject) -> None:
    """States and gradients are finite for histories of 1 to 200 items."""
    backbone = cast("Backbone", subject.build(WIDTH, max(LENGTHS))).train()
    for length in LENGTHS:
        vectors, real = _histories([length, max(1, length // 2)], length)
        states = backbone(vectors.requires_grad_(), real)
        assert_finite(states, f"States of histories of {length} items")
        gradient = torch.autograd.grad(states[real].sum(), vectors)[0]
        assert_finite(gradient, f"Gradients of histories of {length} items")


def padding_is_not_learnt_from(subject: Subject) -> None:
    """While training, too, states and statistics of layers are the same whatever stands at padding."""
    backbone, other = _build(subject), _build(subject)
    copy_weights(backbone, other)
    for module in (*backbone.modules(), *other.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    vectors, real = _histories([MAX_LENGTH, 3, 2], MAX_LENGTH)
    garbage = torch.where(real[..., None], vectors, 100 * torch.randn_like(vectors))
    torch.manual_seed(1)
    states = backbone.train()(vectors, real)[real]
    torch.manual_seed(1)
    expected = other.train()(garbage, real)[real]
    assert_close(states, expected, "While training, values at padding change the states of real positions.")
    for name, value in backbone.state_dict().items():
        assert_close(value.float(), other.state_dict()[name].float(), f"Values at padding enter '{name}'.")


def asking_changes_nothing(subject: Subject) -> None:
    """`forward` leaves its inputs, and outside of training the module's own state, as they are."""
    backbone = _build(subject)
    vectors, real = _histories([MAX_LENGTH, 3], MAX_LENGTH)
    given, mask = vectors.clone(), real.clone()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(vectors, real)
    assert torch.equal(vectors, given), "`forward` changes the vectors it is given."
    assert torch.equal(real, mask), "`forward` changes `real`."
    changed = [name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])]
    assert not changed, f"`forward` changes '{changed[0] if changed else ''}' outside of training."


def weights_survive_a_file(subject: Subject) -> None:
    """Weights written to safetensors and read into a fresh backbone give the same states."""
    backbone, fresh = _build(subject), _build(subject)
    copy_weights(backbone, fresh)
    vectors, real = _histories([5, 2], 5)
    assert_close(fresh(vectors, real), backbone(vectors, real), "Stored weights give other states.")


def low_precision_stays_finite(subject: Subject) -> None:
    """bfloat16 and float16 arithmetic give finite states and gradients."""
    for kind in (torch.bfloat16, torch.float16):
        backbone = _build(subject).train()
        vectors, real = _histories([MAX_LENGTH, 1], MAX_LENGTH)
        with torch.autocast("cpu", kind):
            states = backbone(vectors.requires_grad_(), real)
        assert_finite(states, f"States in {kind}")
        gradient = torch.autograd.grad(states.float()[real].sum(), vectors)[0]
        assert_finite(gradient, f"Gradients in {kind}")


def a_few_sequences_are_learnt_by_heart(subject: Subject) -> None:
    """Inside a network the backbone learns which item followed each of eight histories."""
    network = build_network(_build(subject), subject.world)
    users, lengths = torch.arange(8), torch.tensor([3, 4, 5, 6, 3, 4, 5, 6])
    items = torch.randint(subject.world.n_items, (8, 6))
    targets = torch.randperm(subject.world.n_items)[:8]

    def loss() -> Tensor:
        return F.cross_entropy(network.last_states(users, items, lengths) @ network.items.vectors().T, targets)

    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    network.eval()
    first = loss().item()
    network.train()
    for _ in range(OVERFIT_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward(loss())
        optimiser.step()
    network.eval()
    last = loss().item()
    assert last < OVERFIT_SHARE * first, (
        f"Learning eight sequences by heart took the loss only from {first:.3f} to {last:.3f}."
    )


def _build(subject: Subject) -> Backbone:
    return cast("Backbone", subject.build(WIDTH, MAX_LENGTH)).eval()


def _histories(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    """Random vectors (B, T, D), zero at padding, and which are real (B, T)."""
    real = torch.arange(width) < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), width, WIDTH) * real[..., None], real


def _changed(vectors: Tensor, place: int) -> Tensor:
    """Other vectors from `place` on, or at `place` alone when it is the first."""
    changed = vectors.clone()
    stop = None if place else 1
    changed[:, place:stop] = torch.randn_like(changed[:, place:stop])
    return changed


CHECKS = seeded(
    states_have_the_shape_of_the_input,
    the_future_does_not_change_the_past,
    history_is_read,
    order_is_read_or_not,
    one_state_is_that_of_all,
    padding_changes_nothing,
    each_history_stands_alone,
    every_parameter_gets_a_gradient,
    long_histories_stay_finite,
    padding_is_not_learnt_from,
    asking_changes_nothing,
    weights_survive_a_file,
    low_precision_stays_finite,
    a_few_sequences_are_learnt_by_heart,
    *ENGINE_CHECKS,
    *EXPORT_CHECKS,
)
