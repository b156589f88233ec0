"""Appending events to a prepared data set."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN
from p5core.data.dataset import Dataset, Events
from p5core.data.union import grow_catalogue, grow_users, recode
from p5core.errors import DataError

__all__ = ["append"]


def append(old: Dataset, fresh: Dataset, keep: Literal["first", "last", "all"]) -> Dataset:
    """The events of both data sets by user and time; users and items of `old` keep their codes.

    Of several events of a user with an item one stays, as `keep` says. Without a clock fresh events follow the known
    ones. Raises DataError when only one of the two has a clock, or when ids or ratings do not fit.
    """
    if old.has_clock != fresh.has_clock:
        have, lack = ("known", "new") if old.has_clock else ("new", "known")
        raise DataError(f"The {have} events have times and the {lack} ones have none. Bring both to one form.")
    for name in sorted(set(old.events.fields) ^ set(fresh.events.fields)):
        have, lack = ("known", "new") if name in old.events.fields else ("new", "known")
        raise DataError(f"The {have} events have a {name} and the {lack} ones have none. Bring both to one form.")
    catalogue = grow_catalogue(old.catalogue, _in_domain(fresh.catalogue, old.catalogue))
    users = grow_users(old.user_frame, fresh.user_frame)
    fresh = replace(fresh, catalogue=_in_domain(fresh.catalogue, old.catalogue))
    parts = [recode(frame, catalogue, users) for frame in (old, fresh)]
    return replace(parts[0], events=_joined(parts[0].events, parts[1].events, old.has_clock, len(catalogue), keep))


def _in_domain(fresh: Catalogue, old: Catalogue) -> Catalogue:
    """A catalogue of one domain, under the name of the known one."""
    if len(fresh.domains) != 1 or len(old.domains) != 1:
        return fresh
    return Catalogue(fresh.frame.assign(**{DOMAIN: old.domains[0]}))


def _joined(old: Events, fresh: Events, has_clock: bool, n_items: int, keep: Literal["first", "last", "all"]) -> Events:
    users = np.concatenate([old.users, fresh.users])
    items = np.concatenate([old.items, fresh.items])
    later = 0 if has_clock else int(old.times.max(initial=0)) + 1 - int(fresh.times.min(initial=0))
    times = np.concatenate([old.times, fresh.times + later])
    order = np.lexsort((np.arange(len(users)), times, users))
    order = order[_kept(users[order].astype(np.int64) * n_items + items[order], keep)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users[order], minlength=old.n_users))]).astype(np.int64)
    fields = {name: np.concatenate([values, fresh.fields[name]])[order] for name, values in old.fields.items()}
    return Events(offsets, items[order], times[order], fields)


def _kept(pairs: npt.NDArray[np.int64], keep: Literal["first", "last", "all"]) -> npt.NDArray[np.int64]:
    """Places of the events that stay, ascending."""
    if keep == "all":
        return np.arange(len(pairs))
    turned = pairs if keep == "first" else pairs[::-1]
    places = np.unique(turned, return_index=True)[1]
    return np.sort(places if keep == "first" else len(pairs) - 1 - places)
