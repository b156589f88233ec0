"""The promises of every scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from p5core.contracts.scorer import Scorer
from p5core.data.dataset import Ragged
from p5core.model.blend import NeighbourTable
from p5core.testing.engine import ENGINE_CHECKS
from p5core.testing.tensors import assert_finite

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]

HISTORIES: tuple[list[int], ...] = ([3, 1, 4], [], [5], [9, 2, 6, 5, 3, 5])

USERS = (0, -1, 2, 3)
"""Code of the user of each, -1 for one without training events."""


def scores_are_one_an_item(subject: Subject) -> None:
    """`scores` is float32 (B, V) and finite, for empty histories and unknown users too."""
    scores = _scores(_fitted(subject))
    assert scores.shape == (len(HISTORIES), subject.world.n_items), f"scores has shape {tuple(scores.shape)}."
    assert scores.dtype == torch.float32, f"scores has the type {scores.dtype}; it must be float32."
    assert_finite(scores, "Scores")


def scores_belong_to_the_caller(subject: Subject) -> None:
    """Whoever asks may overwrite the answer; the next one is the same."""
    scorer = _fitted(subject)
    first = _scores(scorer)
    kept = first.clone()
    first.fill_(-1.0)
    assert torch.equal(_scores(scorer), kept), "Overwriting an answer changes the next one."


def each_history_stands_alone(subject: Subject) -> None:
    """Scores do not depend on the other histories that are asked for."""
    scorer = _fitted(subject)
    together = _scores(scorer)
    for row, (user, history) in enumerate(zip(USERS, HISTORIES, strict=True)):
        alone = scorer.scores(np.array([user], dtype=np.int32), Ragged.of([history]))
        assert torch.allclose(alone[0], together[row], atol=1e-5), "Scores depend on the histories asked for beside."


def fitting_again_gives_the_same(subject: Subject) -> None:
    """Two scorers that learnt the same events score the same."""
    same = torch.equal(_scores(_fitted(subject)), _scores(_fitted(subject)))
    assert same, "Two fits of the same events differ."


def a_stored_scorer_scores_the_same(subject: Subject) -> None:
    """`restore` takes over what `state` gave, if the scorer can be stored."""
    scorer = _fitted(subject)
    state = scorer.state()
    if state is None:
        return
    again = cast("Scorer", subject.build())
    again.restore({name: np.ascontiguousarray(array) for name, array in state.items()})
    assert torch.equal(_scores(again), _scores(scorer)), "A restored scorer scores otherwise."


def the_exported_form_ranks_the_same(subject: Subject) -> None:
    """`export`, where there is one, gives the scores of the scorer, but for differences that order nothing."""
    scorer = _fitted(subject)
    model = scorer.export()
    if model is None:
        return
    assert model.neighbours.shape == model.weights.shape, "neighbours and weights must both be (V, M)."
    histories = [history[-len(model.age_weights) :] for history in HISTORIES]
    width = max(map(len, histories))
    items = torch.tensor([[*history, *[0] * (width - len(history))] for history in histories])
    lengths = torch.tensor([len(history) for history in histories])
    exported = NeighbourTable(model, torch.device("cpu")).scores(items, lengths)
    asked = scorer.scores(np.arange(len(histories), dtype=np.int32), Ragged.of(histories))
    worst = (exported - asked).abs().max().item()
    assert worst <= 1e-4 * max(1.0, asked.abs().max().item()), f"The exported form differs by {worst:.3g}."


def _fitted(subject: Subject) -> Scorer:
    scorer = cast("Scorer", subject.build())
    scorer.fit(subject.world.events, subject.world.catalogue)
    return scorer


def _scores(scorer: Scorer) -> Tensor:
    return scorer.scores(np.array(USERS, dtype=np.int32), Ragged.of([list(history) for history in HISTORIES]))


CHECKS: tuple[Check, ...] = (
    scores_are_one_an_item,
    scores_belong_to_the_caller,
    each_history_stands_alone,
    fitting_again_gives_the_same,
    a_stored_scorer_scores_the_same,
    the_exported_form_ranks_the_same,
    *ENGINE_CHECKS,
)
