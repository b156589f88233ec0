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


def append(known: Dataset, fresh: Dataset, keep: Literal["first", "last", "all"]) -> Dataset:
    """The events of both data sets by user and time; users and items of `known` keep their codes.

    Of several events of a user with an item one stays, as `keep` says. Without a clock fresh events follow the known
    ones. Raises DataError when only one of the two has a clock, or when ids or ratings do not fit.
    """
    if known.has_clock != fresh.has_clock:
        have, lack = ("known", "new") if known.has_clock else ("new", "known")
        raise DataError(f"The {have} events have times and the {lack} ones have none. Bring both to one form.")
    for name in sorted(set(known.events.fields) ^ set(fresh.events.fields)):
        have, lack = ("known", "new") if name in known.events.fields else ("new", "known")
        raise DataError(f"The {have} events have a {name} and the {lack} ones have none. Bring both to one form.")
    catalogue = grow_catalogue(known.catalogue, _in_domain(fresh.catalogue, known.catalogue))
    users = grow_users(known.user_frame, fresh.user_frame)
    fresh = replace(fresh, catalogue=_in_domain(fresh.catalogue, known.catalogue))
    parts = [recode(frame, catalogue, users) for frame in (known, fresh)]
    return replace(parts[0], events=_joined(parts[0].events, parts[1].events, known.has_clock, len(catalogue), keep))


def _in_domain(fresh: Catalogue, known: Catalogue) -> Catalogue:
    """A catalogue of one domain, under the name of the known one."""
    if len(fresh.domains) != 1 or len(known.domains) != 1:
        return fresh
    return Catalogue(fresh.frame.assign(**{DOMAIN: known.domains[0]}))


def _joined(
    known: Events, fresh: Events, has_clock: bool, n_items: int, keep: Literal["first", "last", "all"]
) -> Events:
    users = np.concatenate([known.users, fresh.users])
    items = np.concatenate([known.items, fresh.items])
    later = 0 if has_clock else int(known.times.max(initial=0)) + 1 - int(fresh.times.min(initial=0))
    times = np.concatenate([known.times, fresh.times + later])
    order = np.lexsort((np.arange(len(users)), times, users))
    order = order[_kept(users[order].astype(np.int64) * n_items + items[order], keep)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users[order], minlength=known.n_users))]).astype(np.int64)
    fields = {name: np.concatenate([values, fresh.fields[name]])[order] for name, values in known.fields.items()}
    return Events(offsets, items[order], times[order], fields)


def _kept(pairs: npt.NDArray[np.int64], keep: Literal["first", "last", "all"]) -> npt.NDArray[np.int64]:
    """Places of the events that stay, ascending."""
    if keep == "all":
        return np.arange(len(pairs))
    turned = pairs if keep == "first" else pairs[::-1]
    places = np.unique(turned, return_index=True)[1]
    return np.sort(places if keep == "first" else len(pairs) - 1 - places)
