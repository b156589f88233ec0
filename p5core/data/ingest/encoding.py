"""From cleaned tables to arrays, vocabularies and a catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN, ITEM, USER
from p5core.data.dataset import Dataset, Events
from p5core.data.ingest.cleaning import Cleaned
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.fields import StagedField
from p5core.data.ingest.staging import Staged
from p5core.data.profile.report import PrepareReport, describe
from p5core.data.raw import RawData
from p5core.data.tables.columntypes import INTEGER
from p5core.data.tables.metadata import HEADER_ROWS, SOURCE
from p5core.data.vocabulary import Vocabulary
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["encode"]


def encode(
    workspace: Workspace, raw: RawData, staged: Staged, cleaned: Cleaned, cold_items: bool
) -> tuple[Dataset, PrepareReport]:
    """Close the gaps that cleaning left in the codes, and join what is known of items and users.

    With `cold_items` the items of the items table that have no events are in the catalogue.
    """
    kept_users, users = _closed(_column(workspace, "user"))
    kept_items, items = _closed(_column(workspace, "item"))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(kept_users)))]).astype(np.int64)
    fields, field_values = _fields(workspace, staged)
    item_keys = workspace.connection.execute(f'SELECT id AS "{ITEM}", "{DOMAIN}" FROM items ORDER BY code').df()
    user_keys = workspace.connection.execute(f'SELECT id AS "{USER}" FROM users ORDER BY code').df()
    items_table, domain_notes = _with_own_domain(raw.items, item_keys, staged.has_domain)
    items_table, item_notes = _rows_of(items_table, item_keys, ITEM, raw.source)
    users_table, user_notes = _rows_of(raw.users, user_keys, USER, raw.source)
    item_keys = item_keys.iloc[kept_items].reset_index(drop=True)
    if cold_items and items_table is not None:
        item_keys, new_codes = _with_cold(item_keys, items_table)
        items = new_codes[items]
    events = Events(offsets, items, _column(workspace, "time").astype(np.int64), fields)
    item_frame, unknown_items = _joined(item_keys, items_table, ITEM)
    user_frame, unknown_users = _joined(user_keys.iloc[kept_users], users_table, USER)
    dataset = Dataset(
        events,
        Vocabulary.of(pd.Index(user_frame[USER])),
        Catalogue(item_frame),
        user_frame,
        staged.has_clock,
        field_values,
    )
    notes = (*staged.notes, *domain_notes, *item_notes, *unknown_items, *user_notes, *unknown_users)
    dropped = (*staged.dropped, *cleaned.dropped)
    return dataset, describe(dataset, raw.source, notes, staged.n_read, dropped, cleaned.k_core_rounds, staged.rejected)


def _column(workspace: Workspace, name: str) -> npt.NDArray[Any]:
    """One column of the sorted events; one at a time, so that they are never all held twice."""
    return np.asarray(workspace.connection.execute(f'SELECT "{name}" FROM events').fetchnumpy()[name])


def _fields(
    workspace: Workspace, staged: Staged
) -> tuple[dict[str, npt.NDArray[np.generic]], dict[str, tuple[str, ...]]]:
    """The fields of the sorted events: numbers as float32, values as codes in order, and the value of each code."""
    fields: dict[str, npt.NDArray[np.generic]] = {}
    values: dict[str, tuple[str, ...]] = {}
    for field in staged.fields:
        if field.is_number:
            column = _column(workspace, field.column)
            fields[field.name] = np.ma.filled(np.ma.asarray(column, dtype=np.float32), np.nan)
            continue
        codes, kinds = _of_texts(workspace, field.column) if field.kinds is None else _of_kinds(workspace, field)
        fields[field.name], values[field.name] = codes.astype(np.int32), tuple(kinds)
    return fields, values


def _of_texts(workspace: Workspace, column: str) -> tuple[npt.NDArray[np.integer[Any]], list[str]]:
    """(N,) codes of the texts of a column in their order, -1 where missing, and these texts."""
    texts: npt.NDArray[Any] = np.ma.filled(np.ma.asarray(_column(workspace, column), dtype=object), None)
    codes, kinds = pd.factorize(texts, sort=True)
    return codes, [str(kind) for kind in kinds]


def _of_kinds(workspace: Workspace, field: StagedField) -> tuple[npt.NDArray[np.integer[Any]], list[str]]:
    """The same for a column that holds numbers of texts; texts that no event has any more are left out."""
    assert field.kinds is not None
    query = f'SELECT coalesce(CAST(enum_code("{field.column}") AS INTEGER), -1) AS place FROM events'
    places = np.asarray(workspace.connection.execute(query).fetchnumpy()["place"])
    left = sorted(np.unique(places[places >= 0]).tolist(), key=field.kinds.__getitem__)
    codes = np.full(len(field.kinds) + 1, -1)  # the last one is that of missing texts
    codes[left] = np.arange(len(left))
    return codes[places], [field.kinds[place] for place in left]


def _closed(codes: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The codes that occur, ascending, and the codes renumbered without gaps."""
    occurs = np.bincount(codes) > 0
    kept = np.flatnonzero(occurs)
    return kept, (np.cumsum(occurs, dtype=np.int32) - 1)[codes].astype(np.int32)


def _with_own_domain(
    table: pd.DataFrame | None, keys: pd.DataFrame, has_domain: bool
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """A column `domain` of the items table says which catalogue an item is of only where the events name domains too.

    Else it is a feature, and needs a name of its own.
    """
    if table is None or DOMAIN not in table.columns:
        return table, ()
    if has_domain and table[DOMAIN].isin(keys[DOMAIN]).any():
        return table, ()
    name = f"{ITEM}_{DOMAIN}"
    while name in table.columns:
        name += "_"
    note = "the column '{column}' of the items table names no domain of the events; it is the feature '{name}'"
    return table.rename(columns={DOMAIN: name}), (Message(note, column=DOMAIN, name=name),)


def _rows_of(
    table: pd.DataFrame | None, keys: pd.DataFrame, key: str, source: str
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """The rows of a table that have an id, in the type of the ids of the events, and notes on the others."""
    if table is None:
        return None, ()
    table = table.reset_index(drop=True)
    if key not in table:
        raise DataError(f"{source}, {key}s table: it has no column '{key}'. Its columns: {', '.join(table.columns)}.")
    on = [key, DOMAIN] if DOMAIN in table.columns and DOMAIN in keys.columns else [key]
    named = table[table[on].notna().all(axis=1)]
    ids = _like(named[key], keys[key], key, source)
    rows = named[ids.notna()].assign(**{key: ids.dropna().astype(keys[key].dtype)})
    _refuse_repeated(rows, on, key, source)
    _refuse_mixed_features(rows, key, source)
    no_integer = named[key][ids.isna()]
    notes = []
    if len(named) < len(table):
        notes.append(f"{len(table) - len(named):,} rows of the {key}s table have no id and are left out")
    if len(no_integer):
        notes.append(
            f"{len(no_integer):,} rows of the {key}s table have an id that is no integer, such as "
            f"{no_integer.tolist()[0]!r} in row {_row(no_integer, 0)}, and are left out"
        )
    return rows, tuple(notes)


def _with_cold(keys: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.int32]]:
    """The items with and without events, in order of domain and raw id, and the new code of each old one.

    A table without domains says of which domain its items are only where there is one.
    """
    if DOMAIN not in table.columns and keys[DOMAIN].nunique() > 1:
        return keys, np.arange(len(keys), dtype=np.int32)
    listed = table.assign(**({} if DOMAIN in table.columns else {DOMAIN: keys[DOMAIN].iloc[0]}))[list(keys.columns)]
    both = pd.concat([keys, listed], ignore_index=True).drop_duplicates(ignore_index=True)
    order = both.sort_values([DOMAIN, ITEM], kind="stable").index.to_numpy()
    new_codes = np.argsort(order)[: len(keys)].astype(np.int32)
    return both.iloc[order].reset_index(drop=True), new_codes


def _joined(keys: pd.DataFrame, table: pd.DataFrame | None, key: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of `keys` with the columns that `table` knows of them, and notes on what did not fit."""
    keys = keys.reset_index(drop=True)
    if table is None:
        return keys, ()
    on = [key, DOMAIN] if DOMAIN in table.columns and DOMAIN in keys.columns else [key]
    matched = pd.MultiIndex.from_frame(keys[on]).isin(pd.MultiIndex.from_frame(table[on]))
    n_unknown, n_unused = int((~matched).sum()), len(table) - int(matched.sum())
    notes = {
        f"{n_unknown:,} of {len(keys):,} {key}s have no row in the {key}s table; their features are missing": n_unknown,
        f"{n_unused:,} rows of the {key}s table are of {key}s without events and are left out": n_unused,
    }
    if n_unknown:  # a gap would turn integers into floats, which have no large ones
        large = [name for name in table if table[name].dtype == np.int64 and (table[name].abs() > 2**53).any()]
        table = table.astype({name: "Int64" for name in large if name not in on})
    frame = keys.merge(table, on=on, how="left", sort=False, validate="many_to_one")
    return frame, tuple(note for note, n in notes.items() if n > 0)


def _like(ids: pd.Series, target: pd.Series, key: str, source: str) -> pd.Series:
    """The ids of a table in the type of the ids of the events, missing where an id is no integer and theirs are."""
    if not pd.api.types.is_integer_dtype(target.dtype):
        return ids.astype("str").str.strip()
    if pd.api.types.is_integer_dtype(ids.dtype):
        return ids.astype("int64")
    texts = ids.astype("str").str.strip()
    is_integer = texts.str.fullmatch(INTEGER)
    if len(ids) and not is_integer.any():
        raise DataError(
            f"{_place(ids, 0, key, source)}: the id {ids.tolist()[0]!r} is no integer, but the events "
            f"have integer ids. Name the column of the ids by {key}s_id, or set id_type = 'text'."
        )
    whole = texts[is_integer].str.partition(".")[0]
    integers: pd.Series = pd.to_numeric(whole, errors="coerce").astype("Int64")  # none where 64 bits do not hold it
    return integers.reindex(ids.index)


def _row(table: pd.Series | pd.DataFrame, place: int) -> int:
    """The row that a place had before rows without ids were left out, as an editor counts rows."""
    return int(table.index[place]) + 1 + int(table.attrs.get(HEADER_ROWS, 0))


def _place(table: pd.Series | pd.DataFrame, place: int, key: str, source: str) -> str:
    return f"{table.attrs.get(SOURCE, f'{source}, {key}s table')}, row {_row(table, place)}"


def _refuse_repeated(table: pd.DataFrame, on: list[str], key: str, source: str) -> None:
    repeated = table.duplicated(on, keep=False).to_numpy()
    if repeated.any():
        first = int(np.argmax(repeated))
        same = (table[on] == table[on].iloc[first]).all(axis=1).to_numpy()
        second = int(np.flatnonzero(same)[1])
        raise DataError(
            f"{_place(table, first, key, source)}: the id {table[key].tolist()[first]!r} stands in row "
            f"{_row(table, second)} too. Remove one of them."
        )


def _refuse_mixed_features(table: pd.DataFrame, key: str, source: str) -> None:
    """A run stores features as Parquet, whose columns have one type each."""
    for name in (column for column in table.columns if table[column].dtype == object):
        try:
            pa.array(table[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"{source}, {key}s table, column '{name}' mixes types: {error}. Bring all its values to one type."
            ) from None
