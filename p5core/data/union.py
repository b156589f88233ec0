"""Several data sets over one vocabulary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN, ITEM, USER
from p5core.data.dataset import Dataset, Events, take_fields
from p5core.data.vocabulary import Vocabulary
from p5core.errors import DataError

__all__ = ["grow_catalogue", "grow_users", "recode"]


def grow_catalogue(old: Catalogue, new: Catalogue) -> Catalogue:
    """All items of both: those of `old` keep their codes, unknown ones follow. What `new` says of an item wins."""
    if old.id_kind != new.id_kind:
        raise DataError(
            f"Item ids are of type {old.id_kind} in one data set and {new.id_kind} in the other. Set id_type = 'text' "
            "for both."
        )
    first, second = (catalogue.frame.set_index([DOMAIN, ITEM]) for catalogue in (old, new))
    keys = first.index.append(second.index.difference(first.index, sort=False))
    columns = [*second.columns, *first.columns.difference(second.columns)]
    merged = pd.DataFrame(index=keys)
    for column in columns:
        merged[column] = _newest(first, second, keys, column)
    return Catalogue(merged.reset_index()[[ITEM, DOMAIN, *columns]])


def _newest(first: pd.DataFrame, second: pd.DataFrame, keys: pd.Index, column: str) -> pd.Series:
    """One column of both frames, of the second where it knows a value."""
    columns = [frame[column].reindex(keys) for frame in (second, first) if column in frame]
    return columns[0] if len(columns) == 1 else columns[0].where(columns[0].notna(), columns[1])


def grow_users(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """All users of both frames: those of `old` keep their codes, unknown ones follow."""
    if pd.api.types.is_integer_dtype(old[USER]) != pd.api.types.is_integer_dtype(new[USER]):
        raise DataError(
            "User ids are integers in one data set and strings in the other. Set id_type = 'text' for both."
        )
    return pd.concat([old, new[~new[USER].isin(old[USER])]], ignore_index=True)


def recode(dataset: Dataset, catalogue: Catalogue, user_frame: pd.DataFrame) -> Dataset:
    """The same events in the codes of a larger catalogue and user list."""
    users = Vocabulary.of(pd.Index(user_frame[USER]))
    items = _item_codes(dataset.catalogue, catalogue)[dataset.events.items]
    owner = dataset.users.encode(users.ids)  # (U',) old code of each new user, -1 for users without events here
    old = dataset.events
    starts = np.append(old.offsets, old.offsets[-1])[owner]
    lengths = np.where(owner >= 0, np.diff(old.offsets)[owner], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, lengths)
    events = Events(offsets, items[index], old.times[index], take_fields(old.fields, index))
    return replace(dataset, events=events, users=users, catalogue=catalogue, user_frame=user_frame)


def _item_codes(small: Catalogue, large: Catalogue) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """(V,) codes in the large catalogue of the items of the small one."""
    codes = np.empty(len(small), dtype=np.int32)
    for domain in small.domains:
        members = small.members(domain)
        codes[members] = large.encode(small.decode(members), domain)
    return codes
