"""The parts of a split: training events and held-out users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.data.dataset import Dataset, Events, Ragged, take_fields
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["Holdout", "Role", "Split", "split_by_roles", "tells_of_held_out", "without_holdout"]


class Role(IntEnum):
    """Purpose of an event."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    HISTORY = 3
    """Known when a held-out user is scored, but never trained on."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """M users with their known histories and the items to be found."""

    users: npt.NDArray[np.int32]
    """(M,) user codes"""

    histories: Ragged
    """M lists of item codes, oldest first; may be empty"""

    targets: Ragged
    """M lists of item codes, none empty"""

    fields: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """name → (n_targets,) field of each target event"""

    def __len__(self) -> int:
        return len(self.users)

    def sample(self, n: int, rng: np.random.Generator) -> Holdout:
        """At most `n` of the users, drawn without replacement, in their order."""
        if n >= len(self):
            return self
        return self.take(np.sort(rng.choice(len(self), n, replace=False)))

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Holdout:
        """The users at `rows`, in that order."""
        targets, fields = self.targets.take(rows), {}
        if self.fields:
            places = Ragged(np.arange(len(self.targets.values), dtype=np.int32), self.targets.offsets).take(rows).values
            fields = take_fields(self.fields, places)
        return Holdout(self.users[rows], self.histories.take(rows), targets, fields)


@dataclass(frozen=True, eq=False)
class Split:
    """Training events and two holdouts."""

    train: Events
    validation: Holdout
    test: Holdout
    warnings: tuple[str, ...] = ()
    cold_share: float = 0.0
    """share of test targets whose item has no training event"""


def without_holdout(dataset: Dataset) -> Split:
    """All events for training, and nobody held out."""
    nobody = Holdout(np.zeros(0, dtype=np.int32), Ragged.of([]), Ragged.of([]))
    return Split(dataset.events, nobody, nobody)


def split_by_roles(dataset: Dataset, roles: npt.NDArray[np.int8]) -> Split:
    """Give each event its role (N,); raises DataError when a part is empty."""
    events = dataset.events
    train = events.select(roles == Role.TRAIN)
    is_known = (roles == Role.TRAIN) | (roles == Role.HISTORY)
    validation = _holdout(events, is_known, roles == Role.VALIDATION)
    test = _holdout(events, is_known | (roles == Role.VALIDATION), roles == Role.TEST)
    for part, size in (("training", len(train)), ("validation", len(validation)), ("test", len(test))):
        if size == 0:
            raise DataError(
                Message(
                    "The split leaves no {part} events among {events} events of {users} users. Leave-one-out needs "
                    "users with three events or more; other splits need larger shares or more data.",
                    part=Message(part),
                    events=len(events),
                    users=events.n_users,
                )
            )
    trained = np.bincount(train.items, minlength=dataset.n_items) > 0
    cold = float(np.mean(~trained[test.targets.values]))
    return Split(train, validation, test, _leaks(dataset, roles), cold)


def tells_of_held_out(dataset: Dataset, target: Dataset, roles: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """(N,) True for events of a data set that would tell what is held out of the target, whose events have `roles`.

    Both are over one catalogue and one list of users. With times these are all events of a user with items of the
    target's domains, from the time of the user's first held-out event on; without, the user's events with the very
    items that are held out.
    """
    held_out = (roles == Role.VALIDATION) | (roles == Role.TEST)
    events, own = target.events, dataset.events
    if dataset.has_clock and target.has_clock:
        latest = np.iinfo(np.int64).max
        first = np.full(own.n_users, latest)
        np.minimum.at(first, events.users[held_out], events.times[held_out])
        of_target = np.isin(dataset.event_domains, np.unique(target.event_domains))
        return np.asarray((own.times >= first[own.users]) & (first[own.users] < latest) & of_target)
    n_items = len(target.catalogue)
    pairs = events.users[held_out].astype(np.int64) * n_items + events.items[held_out]
    return np.isin(own.users.astype(np.int64) * n_items + own.items, pairs)


def _holdout(events: Events, is_known: npt.NDArray[np.bool_], held_out: npt.NDArray[np.bool_]) -> Holdout:
    targets = events.select(held_out)
    users = np.flatnonzero(np.diff(targets.offsets)).astype(np.int32)
    histories = events.select(is_known).histories.take(users)
    return Holdout(users, histories, targets.histories.take(users), targets.fields)


def _leaks(dataset: Dataset, roles: npt.NDArray[np.int8]) -> tuple[str, ...]:
    """A warning when training events lie later than the events they help to predict."""
    times = dataset.events.times
    trained, tested = times[roles == Role.TRAIN], times[roles == Role.TEST]
    if not dataset.has_clock or not len(trained) or not len(tested):
        return ()
    share = float(np.mean(trained > tested.min()))
    if share == 0:
        return ()
    return (
        Message(
            "{share} of the training events are later than the first test event: the model learns from a future that a "
            "live system would not know, so its figures are higher than they would be in use. Figures stay comparable "
            "with papers that split the same way; use split.name = 'time' for an honest forecast.",
            share=f"{share:.0%}" if share >= 0.01 else Message("Less than 1%"),
        ),
    )
