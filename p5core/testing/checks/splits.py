"""The promises of every split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.contracts.split import Split
from p5core.data.dataset import Dataset, Events
from p5core.data.holdout import Role, split_by_roles
from p5core.data.vocabulary import Vocabulary
from p5core.testing.world import World

if TYPE_CHECKING:
    from p5core.testing.subject import Check, Subject

__all__ = ["CHECKS"]

N_FOLDS = 3


def every_event_has_a_role(subject: Subject) -> None:
    """`roles` gives one of the roles to each event, and leaves no part without events."""
    data = _dataset(subject.world)
    roles = _roles(subject, data)
    assert roles.shape == (len(data.events),), f"roles has shape {roles.shape}; it must be one an event."
    assert roles.dtype == np.int8, f"roles has the type {roles.dtype}; it must be int8."
    assert set(roles.tolist()) <= {int(role) for role in Role}, "roles holds a number that is no Role."
    split_by_roles(data, roles)


def equal_generators_give_equal_roles(subject: Subject) -> None:
    """Roles are a function of the data and the generator, so that runs can be repeated."""
    data = _dataset(subject.world)
    assert (_roles(subject, data) == _roles(subject, data)).all(), "The same generator gave two different splits."


def folds_test_different_events(subject: Subject) -> None:
    """No event is tested in two cross-validation folds."""
    data = _dataset(subject.world)
    part = _build(subject)
    tested = np.stack(
        [part.fold_roles(data, np.random.default_rng(0), fold, N_FOLDS) == Role.TEST for fold in range(N_FOLDS)]
    )
    assert tested.any(axis=1).all(), "A fold tests no event."
    assert (tested.sum(axis=0) <= 1).all(), "An event is tested in two folds."


def _build(subject: Subject) -> Split:
    part: Split = subject.build()
    return part


def _roles(subject: Subject, data: Dataset) -> npt.NDArray[np.int8]:
    return _build(subject).roles(data, np.random.default_rng(0))


def _dataset(world: World) -> Dataset:
    """The world ten times over, for other users each, so that a share of the users is never nobody."""
    events, copies = world.events, 10
    offsets = np.concatenate([[0], np.cumsum(np.tile(np.diff(events.offsets), copies))]).astype(np.int64)
    times = np.concatenate([events.times + nth for nth in range(copies)])
    many = Events(offsets, np.tile(events.items, copies), times)
    users = pd.DataFrame({"user": range(many.n_users)})
    return Dataset(many, Vocabulary.of(users["user"].to_numpy()), world.catalogue, users, has_clock=True)


CHECKS: tuple[Check, ...] = (
    every_event_has_a_role,
    equal_generators_give_equal_roles,
    folds_test_different_events,
)
