"""Tables of items and users."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN, ITEM, TITLE
from p5core.data.tables.columns import find_id, find_title, guess_column, plain_name
from p5core.data.tables.columntypes import as_features, as_ids
from p5core.data.tables.conditions import parse_condition
from p5core.data.tables.files import TableFiles, open_table
from p5core.data.tables.sniff import Layout
from p5core.data.tables.sql import quote_identifier
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["HEADER_ROWS", "SOURCE", "Metadata", "new_items", "read_features", "read_metadata", "tidy_metadata"]

Metadata = tuple[pd.DataFrame | None, tuple[str, ...]]
"""A table of items or users, if there is one, and what was guessed."""

SOURCE = "source"
"""Attribute of a table: its name in messages."""

HEADER_ROWS = "header_rows"
"""Attribute of a table: the rows before its first one in the file."""

OPTION = re.compile(r"\b(encoding|quote|escape|separator|header|columns)\b(?= =|,)")
"""Options in sentences about a log, which have a name of their own for another table."""

TYPED_NAME = re.compile(r"(.+):(token|token_seq|float|float_seq)")
"""Pattern of RecBole's headers, such as "item_id:token"."""


def read_metadata(
    path: Path | None,
    key: str,
    id_column: str | None = None,
    title_column: str | None = None,
    layout: Layout | None = None,
    where: str | None = None,
    text_ids: bool = False,
    like: str = "",
) -> Metadata:
    """Read a table of items or users: its id becomes `key`, its title `title`; all other columns are features.

    With `text_ids`, ids are texts as they are written. `like` is the name of the ids in the log, which are looked for
    first. Only rows that satisfy the condition `where` are read. Raises DataError when a column is missing or an id
    stands in two rows that differ. Rows without an id are left out later.
    """
    if path is None:
        return None, ()
    try:
        table = open_table(path, layout or Layout(), [name for name in (id_column, title_column) if name])
        frame = read_features(table, key, id_column, where, text_ids, like)
    except DataError as error:
        raise DataError(OPTION.sub(rf"{key}s_\1", str(error))) from None
    return tidy_metadata(frame, key, table.source, id_column, title_column, table.header_rows, like)


def read_features(
    table: TableFiles,
    key: str,
    id_column: str | None = None,
    where: str | None = None,
    text_ids: bool = False,
    like: str = "",
) -> pd.DataFrame:
    """All columns of a table of items or users in the types of their values; with `text_ids`, ids as written."""
    id_name = _id_of(id_column, key, table.columns, table.source, like)
    ids = as_ids(table, [], [id_name]) if text_ids else as_ids(table, [id_name])
    typed = as_features(table, [column for column in table.columns if column != id_name]) | ids
    selected = ", ".join(f"{typed[column]} AS {quote_identifier(column)}" for column in table.columns)
    kept = ""
    if where:
        condition = parse_condition(where).of(dict.fromkeys(table.columns, ""), {}, table.source)
        kept = f" WHERE {condition}"
    # DuckDB keeps the order of rows where they are numbered, and may not otherwise.
    numbered = f"SELECT row_number() OVER () AS p5_row, {selected} FROM (SELECT * FROM {table.relation}{kept})"
    return table.frame(f"SELECT * EXCLUDE (p5_row) FROM ({numbered}) ORDER BY p5_row")


def _id_of(named: str | None, key: str, names: Sequence[str], source: str, like: str = "") -> str:
    """The id column: named, or called as in the log, or as such columns commonly are, or simply "id"."""
    if named is None and like in names:
        return like
    plain = next((name for name in names if plain_name(name) == "id"), None)
    if named is None and plain is not None and guess_column(key, names) is None:
        return plain
    return find_id(named, key, names, source, f"{key}s_id")


def tidy_metadata(
    frame: pd.DataFrame | None,
    key: str,
    source: str,
    id_column: str | None = None,
    title_column: str | None = None,
    header_rows: int = 0,
    like: str = "",
) -> Metadata:
    """Give the id and title columns our names, take equal rows once, and refuse ids in rows that differ."""
    if frame is None:
        return None, ()
    names = [str(name) for name in frame.columns]
    id_name = _id_of(id_column, key, names, source, like)
    title = find_title(title_column, [name for name in names if name != id_name], source) if key == ITEM else None
    renamed = {id_name: key} | ({title: TITLE} if title else {})
    frame = _untyped(frame.set_axis(names, axis=1).rename(columns=renamed))
    for name in frame.columns[frame.columns.duplicated()]:
        raise DataError(f"{source} has two columns that would be called '{name}'. Rename one of them.")
    frame, n_equal = _once(frame)
    _refuse_repeated(frame, key, id_name, source, header_rows)
    named = (id_column, title_column)
    guessed = [f"{name} = '{column}'" for column, name in renamed.items() if column not in named]
    frame.attrs |= {SOURCE: source, HEADER_ROWS: header_rows}
    note = Message("guessed columns of {source}: {columns}", source=source, columns=", ".join(guessed))
    twice = Message("{n} rows of {source} equal another one, and count once", n=f"{n_equal:,}", source=source)
    return frame, ((note,) if guessed else ()) + ((twice,) if n_equal else ())


def _once(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The table without rows that equal an earlier one in all cells, and their number; rows keep their index."""
    texts = frame.astype("str") if any(frame[name].dtype == object for name in frame.columns) else frame
    equal = texts.duplicated()
    return frame[~equal] if equal.any() else frame, int(equal.sum())


def _untyped(frame: pd.DataFrame) -> pd.DataFrame:
    """Names without their type; sequences of tokens, which have spaces between, as "a|b"."""
    names = {name: match for name in frame.columns if (match := TYPED_NAME.fullmatch(name))}
    sequences = [name for name, match in names.items() if match.group(2) == "token_seq"]
    frame = frame.assign(**{name: frame[name].str.replace(" ", "|", regex=False) for name in sequences})
    return frame.rename(columns={name: match.group(1) for name, match in names.items()})


def _refuse_repeated(frame: pd.DataFrame, key: str, column: str, source: str, header_rows: int) -> None:
    whole = [key, DOMAIN] if DOMAIN in frame.columns else [key]
    repeated = (frame.duplicated(whole) & frame[key].notna()).to_numpy()
    if repeated.any():
        second = int(repeated.argmax())
        first = int((frame[whole] == frame[whole].iloc[second]).all(axis=1).to_numpy().argmax())
        value = frame[key].tolist()[second]
        raise DataError(
            f"{source}, column '{column}': the id {value!r} stands in row {int(frame.index[first]) + 1 + header_rows} "
            f"and in row {int(frame.index[second]) + 1 + header_rows}, which differ. Remove one of them."
        )


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
    is_blank = fresh[shared].map(lambda cell: str(cell).strip() in ("", "nan", "None", "<NA>", "[]")).all(axis=1)
    if is_blank.all():
        raise DataError(f"{path} says nothing of its new items: {', '.join(shared)} are empty. Fill them in.")
    missing = [name for name in known.frame.columns if name not in fresh.columns]
    told = [f"{int(is_known.sum()):,} items were known, and stay as they are"] if is_known.any() else []
    told += [f"{int(is_blank.sum()):,} new items have no content, so nothing places them"] if is_blank.any() else []
    told += [f"{path.name} has no column {name}, which the known items have" for name in missing]
    return Catalogue(fresh), (*notes, *told)


def _identified(frame: pd.DataFrame, known: Catalogue, path: Path) -> pd.DataFrame:
    """The rows with an id, in a domain of the catalogue."""
    frame = frame[frame[ITEM].notna()]
    if not len(frame):
        raise DataError(f"{path} has no row with an id.")
    if known.id_kind == "int64" and not pd.api.types.is_integer_dtype(frame[ITEM].dtype):
        values = frame[ITEM].astype("str").tolist()
        wrong = next((value for value in values if not re.fullmatch(r"-?(0|[1-9]\d{0,17})", value)), values[0])
        raise DataError(
            f"{path}: the id {wrong!r} is no integer, which the ids of the run are. Correct it, or name the column of "
            "the ids."
        )
    if DOMAIN not in frame:
        if len(known.domains) > 1:
            raise DataError(f"{path} has no column 'domain', and the run has several: {', '.join(known.domains)}.")
        frame = frame.assign(**{DOMAIN: known.domains[0]})
    unknown = sorted(set(frame[DOMAIN].astype("str")) - set(known.domains))
    if unknown:
        raise DataError(f"{path}: the run has no domain '{unknown[0]}'. Known: {', '.join(known.domains)}.")
    return frame.astype({ITEM: known.frame[ITEM].dtype, DOMAIN: known.frame[DOMAIN].dtype})
