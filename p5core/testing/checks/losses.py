"""The promises of every loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from p5core.contracts.loss import Candidates, ProbabilityLoss, RankingLoss
from p5core.testing.engine import ENGINE_CHECKS
from p5core.testing.tensors import assert_finite, seeded

if TYPE_CHECKING:
    from p5core.testing.subject import Subject

__all__ = ["CHECKS"]

N_ITEMS, N_ROWS, N_DRAWS = 12, 16, 100


class _Items:
    """A catalogue in which the score of item j is entry j of the state: vectors are the unit vectors."""

    def __init__(self, n_items: int) -> None:
        self.table = torch.eye(n_items).requires_grad_()
        self.n_items = n_items
        self.log_frequency = torch.log_softmax(torch.randn(n_items), dim=0)

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        return self.table if codes is None else self.table[codes]

    def domains(self) -> Sequence[tuple[Tensor, Candidates]]:
        return ()


class _Trial:
    """A loss with inputs: scores of items for ranking losses, predictions for the others."""

    def __init__(self, subject: Subject, n_rows: int = N_ROWS, n_items: int = N_ITEMS) -> None:
        self._loss = subject.build()
        self._items = _Items(n_items)
        self.is_ranking = isinstance(self._loss, RankingLoss)
        self.is_probability = isinstance(self._loss, ProbabilityLoss)
        self.right, start = self._drawn(n_rows, n_items)
        self.given = start.requires_grad_()

    def _drawn(self, n_rows: int, n_items: int) -> tuple[Tensor, Tensor]:
        """The right answers, and scores, logits or predictions to begin with."""
        if self.is_ranking:
            return torch.randint(n_items, (n_rows,)), torch.randn(n_rows, n_items)
        if self.is_probability:
            return torch.randint(2, (n_rows,)).float(), torch.randn(n_rows)
        right = torch.rand(n_rows) * 4 + 1
        return right, right + torch.randn(n_rows)

    def loss(self, given: Tensor, right: Tensor | None = None, seed: int = 1) -> Tensor:
        """The loss of states or predictions, with the same random draws for the same seed."""
        torch.manual_seed(seed)
        right = self.right if right is None else right
        return cast("Tensor", self._loss(given, right, self._items) if self.is_ranking else self._loss(given, right))

    def better(self, amount: float) -> Tensor:
        """The given predictions moved towards the right answers."""
        given = self.given.detach()
        if self.is_ranking:
            return given.scatter_add(1, self.right[:, None], torch.full((len(given), 1), amount))
        if self.is_probability:
            return given + amount * (2 * self.right - 1)
        return given + min(1.0, amount / 10) * (self.right - given)

    def learnt(self) -> list[Tensor]:
        """Gradients of everything that could be learnt from the loss."""
        learnable = [self.given, self._items.table] if self.is_ranking else [self.given]
        return list(torch.autograd.grad(self.loss(self.given), learnable))


def a_loss_is_one_finite_number(subject: Subject) -> None:
    """The value is a finite scalar, for one row and for a catalogue of one item too; what is given stays as it is."""
    for n_rows, n_items in ((N_ROWS, N_ITEMS), (1, N_ITEMS), (N_ROWS, 1)):
        trial = _Trial(subject, n_rows, n_items)
        before = trial.given.detach().clone()
        value = trial.loss(trial.given)
        assert value.shape == (), (
            f"The loss has shape {tuple(value.shape)}; it must be one number, the mean of the rows."
        )
        assert_finite(value, f"The loss of {n_rows} rows and {n_items} items")
        assert torch.equal(trial.given, before), "The loss changes the tensors it is given."


def everything_given_gets_a_gradient(subject: Subject) -> None:
    """Gradients reach the states and the item vectors, or the predictions, and are finite."""
    for gradient, what in zip(_Trial(subject).learnt(), ("what is given", "the item vectors"), strict=False):
        assert_finite(gradient, f"The gradient of {what}")
        assert gradient.any(), f"No gradient reaches {what}."


def being_right_pays(subject: Subject) -> None:
    """The loss falls as the right score rises or the prediction nears the rating, and is lowest when all is right."""
    trial = _Trial(subject)
    losses = [trial.loss(trial.better(amount)).item() for amount in (0.0, 1.0, 3.0, 10.0)]
    falls = losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert falls, (
        f"The loss must fall as the right answer gets better; it goes {', '.join(f'{value:.3f}' for value in losses)}."
    )


def being_wrong_costs(subject: Subject) -> None:
    """The loss does not fall as a wrong score rises or the prediction leaves the rating."""
    trial = _Trial(subject)
    given = trial.given.detach()
    if trial.is_ranking:
        worse = given.scatter_add(1, (trial.right[:, None] + 1) % N_ITEMS, torch.full((N_ROWS, 1), 3.0))
    elif trial.is_probability:
        worse = given - 3.0 * (2 * trial.right - 1)
    else:
        worse = given - (trial.right - given)
    right, wrong = trial.loss(given).item(), trial.loss(worse).item()
    assert wrong >= right - 1e-6, f"The loss falls from {right:.3f} to {wrong:.3f} as the answer gets worse."


def the_order_of_rows_does_not_matter(subject: Subject) -> None:
    """The loss is a mean over rows; random draws are averaged out."""
    trial = _Trial(subject)
    order = torch.randperm(N_ROWS)
    given = trial.given.detach()
    straight = torch.stack([trial.loss(given, seed=seed) for seed in range(N_DRAWS)])
    shuffled = torch.stack([trial.loss(given[order], trial.right[order], seed) for seed in range(N_DRAWS)])
    difference = (straight.mean() - shuffled.mean()).abs().item()
    error = (straight.var() / N_DRAWS + shuffled.var() / N_DRAWS).sqrt().item()
    assert difference <= 5 * error + 1e-5, f"Another order of rows changes the loss by {difference:.3g}."


def draws_follow_the_global_generator(subject: Subject) -> None:
    """The same state of torch's generator gives the same loss, so that a resumed run goes on exactly."""
    trial = _Trial(subject)
    first, second = (trial.loss(trial.given).item() for _ in range(2))
    assert first == second, f"With the same random state the loss is {first} and then {second}."


def low_precision_stays_finite(subject: Subject) -> None:
    """bfloat16 input under autocast gives a finite loss."""
    trial = _Trial(subject)
    with torch.autocast("cpu", torch.bfloat16):
        assert_finite(trial.loss(trial.given.detach().bfloat16()), "The loss in bfloat16")


CHECKS = seeded(
    a_loss_is_one_finite_number,
    everything_given_gets_a_gradient,
    being_right_pays,
    being_wrong_costs,
    the_order_of_rows_does_not_matter,
    draws_follow_the_global_generator,
    low_precision_stays_finite,
    *ENGINE_CHECKS,
)
