"""Which events are trained on, which choose the model, and which judge it.

Every split gives each event one role; everything else follows from the roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.data.dataset import Dataset, Events, Ragged
from p5core.errors import ConfigError, DataError

__all__ = ["ByUser", "Holdout", "LeaveOneOut", "RandomRatio", "Role", "Split", "SplitConfig", "TimeWindows", "split"]


class Role(IntEnum):
    """What an event is used for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    HISTORY = 3
    """Known when a held-out user is scored, but never trained on."""


class LeaveOneOut(Config):
    """The last event of each user is tested, the one before it validates. Users below three events only train."""

    name: Literal["leave_one_out"] = "leave_one_out"
    """The kind of split."""


class TimeWindows(Config):
    """Everything before a moment trains; the window up to a second moment validates; what is later tests."""

    name: Literal["time"] = "time"
    """The kind of split."""

    validation: float | datetime = 0.8
    """Where the validation window begins: a date, or a share of all events in order of time."""

    test: float | datetime = 0.9
    """Where the test window begins: a date, or a share of all events in order of time."""


class ByUser(Config):
    """Some users are never trained on; their older events are their history, their newest ones are to be found."""

    name: Literal["by_user"] = "by_user"
    """The kind of split."""

    validation: float = Field(0.1, gt=0, lt=1)
    """Share of users for validation."""

    test: float = Field(0.1, gt=0, lt=1)
    """Share of users for the test."""

    held_out: float = Field(0.2, gt=0, lt=1)
    """Share of a held-out user's events, the newest, that are to be found; at least one."""


class RandomRatio(Config):
    """Events are held out at random, whatever their time. Comparable to old papers; leaks the future."""

    name: Literal["random"] = "random"
    """The kind of split."""

    validation: float = Field(0.1, gt=0, lt=1)
    """Share of each user's events for validation, on average."""

    test: float = Field(0.1, gt=0, lt=1)
    """Share of each user's events for the test, on average."""


SplitConfig = LeaveOneOut | TimeWindows | ByUser | RandomRatio


@dataclass(frozen=True, eq=False)
class Holdout:
    """M users who are judged: what is known of each, and what is to be found."""

    users: npt.NDArray[np.int32]
    """(M,) user codes"""

    histories: Ragged
    """M lists of item codes, oldest first; may be empty"""

    targets: Ragged
    """M lists of item codes, none empty"""

    ratings: npt.NDArray[np.float32] | None
    """(n_targets,) ratings of the targets"""

    def __len__(self) -> int:
        return len(self.users)

    def sample(self, n: int, rng: np.random.Generator) -> Holdout:
        """At most `n` of the users, drawn without replacement, in their order."""
        if n >= len(self):
            return self
        return self.take(np.sort(rng.choice(len(self), n, replace=False)))

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Holdout:
        """The users at `rows`, in that order."""
        targets = self.targets.take(rows)
        ratings = None
        if self.ratings is not None:
            places = Ragged(np.arange(len(self.ratings), dtype=np.int32), self.targets.offsets).take(rows).values
            ratings = self.ratings[places]
        return Holdout(self.users[rows], self.histories.take(rows), targets, ratings)


@dataclass(frozen=True, eq=False)
class Split:
    """Training events and two holdouts."""

    train: Events
    validation: Holdout
    test: Holdout
    warnings: tuple[str, ...] = ()
    cold_share: float = 0.0
    """share of test targets whose item has no training event"""


def split(dataset: Dataset, config: SplitConfig, seed: int, fold: tuple[int, int] | None = None) -> Split:
    """Split a data set; `fold` (i, n) makes the i-th of n cross-validation folds instead.

    Folds are over users for `by_user` and over each user's events, at random, for every other split.
    Raises DataError when a part is empty, ConfigError when the split does not suit the data.
    """
    if fold is not None and not 0 <= fold[0] < fold[1] > 1:
        raise ConfigError(f"There is no fold {fold[0]} of {fold[1]}; give two folds or more and count from 0.")
    rng = np.random.default_rng([seed, 1])
    roles = _roles(dataset, config, rng) if fold is None else _fold_roles(dataset, config, rng, *fold)
    return _from_roles(dataset, roles)


def _roles(dataset: Dataset, config: SplitConfig, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    if isinstance(config, LeaveOneOut):
        return _leave_one_out(dataset.events)
    if isinstance(config, TimeWindows):
        return _time_windows(dataset, config)
    if isinstance(config, ByUser):
        return _by_user(dataset.events, config, rng.random(dataset.events.n_users))
    return _random(rng.random(len(dataset.events)), config.validation, config.test)


def _leave_one_out(events: Events) -> npt.NDArray[np.int8]:
    roles = np.full(len(events), Role.TRAIN, dtype=np.int8)
    ends = events.offsets[1:][np.diff(events.offsets) >= 3]
    roles[ends - 1] = Role.TEST
    roles[ends - 2] = Role.VALIDATION
    return roles


def _time_windows(dataset: Dataset, config: TimeWindows) -> npt.NDArray[np.int8]:
    if not dataset.has_clock:
        raise ConfigError("split.name: 'time' needs timestamps, and this data has none. Use 'leave_one_out'.")
    begin, end = (_moment(dataset.events.times, bound) for bound in (config.validation, config.test))
    if begin >= end:
        raise ConfigError(
            f"split.validation ({config.validation} is {_written(begin)}) must lie before split.test ({config.test} is "
            f"{_written(end)}). Shares that fall on one moment, because many events share it, must lie further apart."
        )
    times = dataset.events.times
    return np.where(times < begin, Role.TRAIN, np.where(times < end, Role.VALIDATION, Role.TEST)).astype(np.int8)


def _moment(times: npt.NDArray[np.int64], bound: float | datetime) -> int:
    if isinstance(bound, datetime):
        utc = bound.astimezone(UTC) if bound.tzinfo else bound
        return int(np.datetime64(utc.replace(tzinfo=None), "us").astype(np.int64))
    if not 0 < bound < 1:
        raise ConfigError(f"split: {bound} is no share of the events; give a number between 0 and 1, or a date.")
    return int(np.quantile(times, bound, method="higher"))


def _written(moment: int) -> str:
    return np.datetime_as_string(np.datetime64(moment, "us"), unit="s").replace("T", " ")


def _by_user(events: Events, config: ByUser, draw: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    if config.validation + config.test >= 1:
        raise ConfigError("split.validation and split.test together must stay below 1.")
    lengths = np.diff(events.offsets)
    group = np.where(
        draw < config.test, Role.TEST, np.where(draw < config.test + config.validation, Role.VALIDATION, Role.TRAIN)
    )
    group = np.where(lengths >= 2, group, Role.TRAIN)
    n_held = np.maximum(1, np.floor(lengths * config.held_out)).astype(np.int64)
    places_left = events.offsets[1:][events.users] - np.arange(len(events))
    of_event = group[events.users]
    known = (of_event != Role.TRAIN) & (places_left > n_held[events.users])
    return np.where(known, Role.HISTORY, of_event).astype(np.int8)


def _random(draw: npt.NDArray[np.float64], validation: float, test: float) -> npt.NDArray[np.int8]:
    if validation + test >= 1:
        raise ConfigError("split.validation and split.test together must stay below 1.")
    roles = np.where(draw < test, Role.TEST, np.where(draw < test + validation, Role.VALIDATION, Role.TRAIN))
    return roles.astype(np.int8)


def _fold_roles(
    dataset: Dataset, config: SplitConfig, rng: np.random.Generator, fold: int, n_folds: int
) -> npt.NDArray[np.int8]:
    """Fold `fold` tests; a tenth of what is left validates."""
    if isinstance(config, ByUser):
        return _by_user(
            dataset.events,
            ByUser(validation=0.1 * (1 - 1 / n_folds), test=1 / n_folds, held_out=config.held_out),
            _rotated(dataset.events.n_users, rng, fold, n_folds),
        )
    return _random(_rotated(len(dataset.events), rng, fold, n_folds), 0.1 * (1 - 1 / n_folds), 1 / n_folds)


def _rotated(n: int, rng: np.random.Generator, fold: int, n_folds: int) -> npt.NDArray[np.float64]:
    """Even positions in [0, 1) in random order, turned so that each fold in its turn lies below 1 / n_folds."""
    place = rng.permutation(n)
    turned = (place * n_folds // n - fold) % n_folds  # whole numbers: rounding would put events in two folds
    return (turned + place * n_folds % n / n) / n_folds


def _from_roles(dataset: Dataset, roles: npt.NDArray[np.int8]) -> Split:
    events = dataset.events
    train = events.select(roles == Role.TRAIN)
    known = (roles == Role.TRAIN) | (roles == Role.HISTORY)
    validation = _holdout(events, known, roles == Role.VALIDATION)
    test = _holdout(events, known | (roles == Role.VALIDATION), roles == Role.TEST)
    for part, size in (("training", len(train)), ("validation", len(validation)), ("test", len(test))):
        if size == 0:
            raise DataError(
                f"The split leaves no {part} events among {len(events)} events of {events.n_users} users. "
                "Leave-one-out needs users with three events or more; other splits need larger shares or more data."
            )
    trained = np.bincount(train.items, minlength=dataset.n_items) > 0
    cold = float(np.mean(~trained[test.targets.values]))
    return Split(train, validation, test, _leaks(dataset, roles), cold)


def _holdout(events: Events, known: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> Holdout:
    targets = events.select(wanted)
    users = np.flatnonzero(np.diff(targets.offsets)).astype(np.int32)
    histories = events.select(known).histories.take(users)
    return Holdout(users, histories, targets.histories.take(users), targets.ratings)


def _leaks(dataset: Dataset, roles: npt.NDArray[np.int8]) -> tuple[str, ...]:
    """Say when training events lie later than the events they help to predict."""
    times = dataset.events.times
    trained, tested = times[roles == Role.TRAIN], times[roles == Role.TEST]
    if not dataset.has_clock or not len(trained) or not len(tested):
        return ()
    share = float(np.mean(trained > tested.min()))
    if share == 0:
        return ()
    written = f"{share:.0%}" if share >= 0.01 else "Less than 1%"
    return (
        f"{written} of the training events are later than the first test event: the model learns from a future "
        "that a live system would not know, so its figures are higher than they would be in use. "
        "Figures stay comparable with papers that split the same way; use split.name = 'time' for an honest forecast.",
    )
