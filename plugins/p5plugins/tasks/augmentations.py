"""Random changes of histories that leave what somebody likes.

A history is an array of places of events: a change leaves out some, orders them anew, or takes in events of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.contracts.task import TrainingData
from p5core.data.dataset import Events, take_fields

__all__ = ["Augmentation", "AugmentedConfig", "augmented", "neighbours", "plan_changed", "planned"]

Augmentation = Literal["crop", "drop", "reorder", "substitute", "insert"]

Places = npt.NDArray[np.int64]


def augmented(events: Events, places: Places, name: Augmentation, share: float, rng: np.random.Generator) -> Places:
    """A history (L,) of which about this share of the events is changed; one event stays at least.

    "crop" leaves a contiguous part, "drop" leaves out single events (masking, for backbones without a mask), "reorder"
    shuffles neighbouring ones, "substitute" puts the neighbours of events into their place and "insert" before them
    (CL4SRec, arXiv 2010.14395; CoSeRec, arXiv 2108.06479).
    """
    if len(places) < 2:
        return places
    n = min(len(places) - 1, max(1, round(share * len(places))))
    if name == "crop":
        start = int(rng.integers(n + 1))
        return places[start : start + len(places) - n]
    if name == "reorder":
        start, changed = int(rng.integers(len(places) - n)), places.copy()
        changed[start : start + n + 1] = rng.permutation(places[start : start + n + 1])
        return changed
    drawn = np.sort(rng.choice(len(places), n, replace=False))
    if name == "drop":
        return np.delete(places, drawn)
    beside = neighbours(events, places[drawn], rng)
    if name == "insert":
        return np.insert(places, drawn, beside)
    changed = places.copy()
    changed[drawn] = beside
    return changed


def neighbours(events: Events, places: Places, rng: np.random.Generator) -> Places:
    """For each of the events (L,) one that stands next to an event of the same item in some user's history.

    An item is drawn as often as it stands beside that item: after it, or before it where that ends a history.
    """
    order, offsets = events.by_item
    items = events.items[places]
    first, n = offsets[items], offsets[items + 1] - offsets[items]
    met = order[first + (rng.random(len(places)) * n).astype(np.int64)]
    users = np.searchsorted(events.offsets, met, side="right") - 1
    has_next, has_last = met + 1 < events.offsets[users + 1], met > events.offsets[users]
    beside: Places = met + np.where(has_next, 1, np.where(has_last, -1, 0))
    return beside


class AugmentedConfig(Config):
    """Options of tasks whose histories may be changed in each epoch."""

    augmentations: list[Augmentation] = []
    """Changes of histories in each epoch; a changed history draws one of them."""

    augmented: float = Field(0.5, gt=0, le=1)
    """Fraction of the histories that are changed in each epoch."""

    changed: float = Field(0.2, gt=0, lt=1)
    """Fraction of a history's events that a change concerns."""


@dataclass(frozen=True, eq=False)
class _Changed:
    """One batch of a plan, and the changed events that it is of."""

    rows: Any
    data: TrainingData


def plan_changed(
    config: AugmentedConfig,
    data: TrainingData,
    rng: np.random.Generator,
    plan: Callable[[TrainingData, np.random.Generator], Sequence[Any]],
) -> Sequence[Any]:
    """The plan of an epoch over histories as they are, or over changed ones where the options ask for it."""
    if not config.augmentations:
        return plan(data, rng)
    changed = replace(data, events=_changed(config, data.events, rng))
    return [_Changed(rows, changed) for rows in plan(changed, rng)]


def planned(data: TrainingData, rows: Any) -> tuple[TrainingData, Any]:
    """The data and the rows of a batch of such a plan."""
    return (rows.data, rows.rows) if isinstance(rows, _Changed) else (data, rows)


def _changed(config: AugmentedConfig, events: Events, rng: np.random.Generator) -> Events:
    """The events with some histories changed; those of one event stay."""
    names = rng.integers(len(config.augmentations), size=events.n_users)
    is_changed = (rng.random(events.n_users) < config.augmented) & (np.diff(events.offsets) > 1)
    histories = np.split(np.arange(len(events)), events.offsets[1:-1])
    for user in np.flatnonzero(is_changed):
        name = config.augmentations[names[user]]
        histories[user] = augmented(events, histories[user], name, config.changed, rng)
    places = np.concatenate(histories)
    lengths = [len(history) for history in histories]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Events(offsets, events.items[places], events.times[places], take_fields(events.fields, places))
