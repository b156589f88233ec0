"""Ids of raw rows as SQL: integers of 64 bits, or texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from p5core.data.columns import EVENT, ITEM, RATING, TIMESTAMP, USER, WEIGHT
from p5core.data.ingest.database import Workspace
from p5core.data.raw import IdType, RawData, Scan
from p5core.data.tables.columntypes import is_integer
from p5core.data.tables.sql import cell, plain_code, plain_code_sql, quote_identifier, quote_text
from p5core.data.vocabulary import PAD_INT
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["id_expression", "ids_told", "is_no_id", "refuse_mixed_ids", "store_integers"]

SMALL = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
LARGE = re.compile(r"UBIGINT|U?HUGEINT|DECIMAL\(.*\)")
EXACT_FLOATS = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Type → where its integers begin to have gaps."""

INTEGER = r"(0|-?[1-9][0-9]*)(\.0+)?"
LISTS = r"\[.*\]"
OBJECTS = r"\{.*\}"
TEXTS = re.compile(r"VARCHAR|ENUM.*|UUID|\"?NULL\"?", re.DOTALL)
LOOKED_AT = 1_000
MOSTLY = 0.5
"""Share of the first ids that are integers, above which the others are pointed out."""


def id_expression(workspace: Workspace, raw: RawData, types: dict[str, str], column: str) -> str:
    """SQL of an id column of the table `raw`: BIGINT or VARCHAR, NULL where it is missing or, if asked, faulty.

    Raises DataError for a column that holds no ids.
    """
    kind, id_type = types[column], raw.id_types.get(column)
    name = quote_identifier(column)
    if kind in SMALL:
        text = (
            cell(f"CAST({name} AS VARCHAR)", raw.null_words) if _missing_integers(raw) else f"CAST({name} AS VARCHAR)"
        )
        return text if id_type == "text" else f"CAST({text if _missing_integers(raw) else name} AS BIGINT)"
    if kind in EXACT_FLOATS or LARGE.fullmatch(kind):
        return _numbers(workspace, raw, column, kind, id_type)
    if not TEXTS.fullmatch(kind):
        raise DataError(_no_ids(raw, column, f"of type {kind}"))
    text = cell(f"CAST({name} AS VARCHAR)", raw.null_words)
    _refuse_lists(workspace, raw, column, text)
    if id_type == "integer":
        return _integers(workspace, raw, column, text)
    is_untyped = isinstance(raw.interactions, Scan) and column in raw.interactions.untyped
    if not is_untyped or not _are_integers(workspace, raw, types, text):
        return text
    whole = f"TRY_CAST({text} AS BIGINT)"
    return f"CAST({whole} AS VARCHAR)" if id_type == "text" else whole  # 42.0 is the 42 of a run whose ids are texts


def _missing_integers(raw: RawData) -> bool:
    """True if a word for missing values, such as -1, is an integer."""
    return any(re.fullmatch(r"-?[0-9]+", word.strip()) for word in raw.null_words or ())


def store_integers(workspace: Workspace, raw: RawData) -> None:
    """Store untyped columns of ids and times as integers where every text is the plain form of one, 42 but not 042.

    Everything that is asked of them later has the same answers then, in a third of the time.
    """
    if not isinstance(raw.interactions, Scan) or not raw.interactions.untyped or _missing_integers(raw):
        return
    kinds = {name: kind for name, kind, *_ in workspace.rows("DESCRIBE raw")}
    columns = [*raw.interactions.untyped, *([TIMESTAMP] if raw.time_format is None else [])]
    names = [quote_identifier(column) for column in columns if kinds.get(column) == "VARCHAR"]
    for name in names:
        is_plain = f"bool_and(coalesce(CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) = {name}, {name} IS NULL))"
        tables = (f"(FROM raw LIMIT {LOOKED_AT})", "raw")  # the first rows rule out most columns of texts
        if all(workspace.row(f"SELECT {is_plain} FROM {table}")[0] for table in tables):
            # Rows that were deleted are converted as well, whatever they hold.
            workspace.run(f"ALTER TABLE raw ALTER {name} TYPE BIGINT USING TRY_CAST({name} AS BIGINT)")


def _are_integers(workspace: Workspace, raw: RawData, types: dict[str, str], text: str) -> bool:
    """True if all ids of the rows that count are written as integers."""
    ids = [_is_there(raw, name) for name in (USER, ITEM)]
    needed = (RATING, TIMESTAMP) if raw.event_weights else (RATING, TIMESTAMP, WEIGHT)
    others = [_is_there(raw, name) for name in needed if name in types]
    if raw.event_weights:
        kinds = ", ".join(quote_text(plain_code(kind)) for kind in raw.event_weights)
        others.append(f"{plain_code_sql(f'CAST({EVENT} AS VARCHAR)')} IN ({kinds})")

    def fits(conditions: Sequence[str]) -> bool:
        test = f"SELECT bool_and({is_integer(text)}) FROM raw WHERE {' AND '.join(conditions)}"
        return bool(workspace.row(test)[0])

    return fits(ids) or (bool(others) and fits([*ids, *others]))


def ids_told(workspace: Workspace, raw: RawData, types: dict[str, str], column: str) -> tuple[Message, ...]:
    """A note on the first id that is no integer, where most are: all ids of the column are texts then."""
    if not isinstance(raw.interactions, Scan) or column not in raw.interactions.untyped or column in raw.id_types:
        return ()
    if types[column] in SMALL:
        return ()
    text = cell(f"CAST({quote_identifier(column)} AS VARCHAR)", raw.null_words)
    head = f"(SELECT {text} AS id FROM raw WHERE {text} IS NOT NULL LIMIT {LOOKED_AT})"
    (share,) = workspace.row(f"SELECT avg(CAST({is_integer('id')} AS INTEGER)) FROM {head}")
    if not share or share <= MOSTLY or _are_integers(workspace, raw, types, text):
        return ()
    odd = f"{text} IS NOT NULL AND NOT {is_integer(text)}"
    n, value = workspace.row(f"SELECT count(*), min({text}) FROM raw WHERE {odd}")
    note = "{n} ids of '{column}' are no integers, such as '{value}', so all of them are texts"
    return (Message(note, n=f"{n:,}", column=raw.column(column), value=value),)


def _is_there(raw: RawData, column: str) -> str:
    return f"{cell(f'CAST({quote_identifier(column)} AS VARCHAR)', raw.null_words)} IS NOT NULL"


def _no_ids(raw: RawData, column: str, kind: str) -> str:
    is_list = column == ITEM and ("lists" in kind or kind.endswith("]"))
    remedy = "Set explode = true for a row for each element, or name" if is_list else "Name"
    place = f"{raw.source}, column '{raw.column(column)}'"
    return f"{place} is {kind}; ids must be strings or integers. {remedy} another column."


def _numbers(workspace: Workspace, raw: RawData, column: str, kind: str, id_type: IdType | None) -> str:
    """Ids in floats and large integers: whole numbers, as texts where 64 bits do not hold them all."""
    name = quote_identifier(column)
    exact = f"abs({name}) < {EXACT_FLOATS[kind]}" if kind in EXACT_FLOATS else "true"
    is_present = f"{name} IS NOT NULL" + (f" AND NOT isnan({name})" if kind in EXACT_FLOATS else "")
    is_id = f"{name} = floor({name}) AND {exact}"
    inexact = workspace.rows(
        f'SELECT "p5_row", {name}, {name} = floor({name}) FROM raw WHERE {is_present} AND NOT ({is_id}) '
        'ORDER BY "p5_row" LIMIT 1'
    )
    if inexact and raw.on_error == "refuse":
        row, value, is_large = inexact[0]
        fault = "is too large to be exact as a float" if is_large else "is no id"
        raise DataError(
            f"{raw.place(row)}, column '{raw.column(column)}': {value} {fault}; ids must be strings or 64-bit "
            "integers. Write the column as strings."
        )
    whole = f"CASE WHEN {is_present} AND {is_id} THEN CAST({name} AS HUGEINT) END"
    fits = workspace.row(f"SELECT count({whole}) = count(TRY_CAST({whole} AS BIGINT)) FROM raw")[0]
    if id_type == "integer" and not fits:
        raise DataError(f"{raw.source}, column '{raw.column(column)}': some ids exceed 64 bits. Set id_type = 'text'.")
    return f"CAST({whole} AS {'BIGINT' if fits and id_type != 'text' else 'VARCHAR'})"


def _refuse_lists(workspace: Workspace, raw: RawData, column: str, text: str) -> None:
    """Refuse texts that nearly all are lists or objects."""
    head = f"(SELECT {text} AS id FROM raw WHERE {text} IS NOT NULL LIMIT {LOOKED_AT})"
    for pattern, kind in ((LISTS, "lists"), (OBJECTS, "objects")):
        share, value = workspace.row(
            f"SELECT avg(CAST(regexp_full_match(id, '{pattern}') AS INTEGER)), "
            f"min(id) FILTER (regexp_full_match(id, '{pattern}')) FROM {head}"
        )
        if share and share > 0.9:
            raise DataError(_no_ids(raw, column, f"made of {kind}, such as {value!r}"))


def _integers(workspace: Workspace, raw: RawData, column: str, text: str) -> str:
    """Texts as the integers that they are known to be."""
    number = f"CASE WHEN regexp_full_match({text}, '{INTEGER}') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT) END"
    faulty = workspace.rows(
        f'SELECT "p5_row", {text} FROM raw WHERE {text} IS NOT NULL AND {number} IS NULL ORDER BY "p5_row" LIMIT 1'
    )
    if faulty and raw.on_error == "refuse":
        row, value = faulty[0]
        raise DataError(
            f"{raw.place(row)}, column '{raw.column(column)}': the id {value!r} is no integer, and the known {column} "
            "ids are integers. Correct it, leave such rows out with on_error = 'drop', or train anew with id_type = "
            "'text'."
        )
    return number


def refuse_mixed_ids(raw: RawData) -> None:
    """DuckDB would turn integers among strings into text; say so instead."""
    assert isinstance(raw.interactions, pd.DataFrame)
    for column in (USER, ITEM):
        if column not in raw.interactions or raw.interactions[column].dtype != object or column in raw.id_types:
            continue
        values = raw.interactions[column].dropna()
        is_text = values.map(lambda value: isinstance(value, str))
        if is_text.any() and not is_text.all():
            place = int(np.argmax((is_text != is_text.iloc[0]).to_numpy()))
            row = int(np.flatnonzero(raw.interactions[column].notna())[place]) + 1
            raise DataError(
                f"{raw.place(row)}, column '{raw.column(column)}': {values.iloc[place]!r} is of another type than the "
                "ids before it. Make all ids strings or all ids integers, or set id_type = 'text'."
            )


def is_no_id(column: str, kind: str) -> str:
    """The SQL condition of a missing id, of padding, and of text that clients in C++ and JavaScript would cut."""
    if kind == "BIGINT":
        return f'"{column}" IS NULL OR "{column}" = {PAD_INT}'
    return f'"{column}" IS NULL OR "{column}" = \'\' OR contains("{column}", chr(0))'
