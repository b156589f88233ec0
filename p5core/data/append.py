"""Appending events, or items alone, to a prepared data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN, ITEM
from p5core.data.dataset import Dataset, Events
from p5core.data.tables.metadata import read_metadata
from p5core.data.union import grow_catalogue, grow_users, recode
from p5core.errors import DataError

__all__ = ["append", "new_items"]


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


def new_items(
    path: Path, known: Catalogue, id_column: str | None = None, title_column: str | None = None
) -> tuple[Catalogue, tuple[str, ...]]:
    """The items of a table that the catalogue has not, and sentences on what was guessed and left out.

    Raises DataError for ids of another type, a table without a new item, and one without a column of the catalogue.
    """
    frame, notes = read_metadata(path, ITEM, id_column, title_column, text_ids=known.id_kind == "string")
    assert frame is not None
    frame = _identified(frame, known, path)
    shared = [name for name in frame.columns if name in known.frame.columns and name not in (ITEM, DOMAIN)]
    if not shared:
        columns = ", ".join(name for name in known.frame.columns if name not in (ITEM, DOMAIN))
        raise DataError(f"{path} has none of the columns by which the run knows its items: {columns}.")
    is_known = pd.MultiIndex.from_frame(frame[[DOMAIN, ITEM]]).isin(known.index)
    fresh = frame.loc[~is_known, [ITEM, DOMAIN, *shared]].reset_index(drop=True)
    if not len(fresh):
        raise DataError(f"{path} has no item that the run does not know already ({len(frame):,} known ones).")
    missing = [name for name in known.frame.columns if name not in fresh.columns]
    told = [f"{int(is_known.sum()):,} items were known, and stay as they are"] if is_known.any() else []
    told += [f"{path.name} has no column {name}, which the known items have" for name in missing]
    return Catalogue(fresh), (*notes, *told)


def _identified(frame: pd.DataFrame, known: Catalogue, path: Path) -> pd.DataFrame:
    """The rows with an id, in a domain of the catalogue."""
    frame = frame[frame[ITEM].notna()]
    is_integer = pd.api.types.is_integer_dtype(frame[ITEM].dtype)
    if known.id_kind == "int64" and not is_integer:
        raise DataError(f"{path}: the ids of the run are integers, and those of the table are not. Correct them.")
    if DOMAIN not in frame:
        if len(known.domains) > 1:
            raise DataError(f"{path} has no column 'domain', and the run has several: {', '.join(known.domains)}.")
        frame = frame.assign(**{DOMAIN: known.domains[0]})
    unknown = sorted(set(frame[DOMAIN].astype("str")) - set(known.domains))
    if unknown:
        raise DataError(f"{path}: the run has no domain '{unknown[0]}'. Known: {', '.join(known.domains)}.")
    return frame.astype({ITEM: known.frame[ITEM].dtype, DOMAIN: known.frame[DOMAIN].dtype})


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
