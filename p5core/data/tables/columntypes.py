"""Columns of files in the types of their values.

Text files say nothing of types, so all values of a column decide. Ids are integers when every one is written as a
program writes an integer: 42 or, from a column that had gaps in pandas, 42.0; empty cells say nothing. A single "007"
or "4.2" makes all ids of the column texts, exactly as they are written. In JSON the writer has chosen: 42 is an integer
and "42" a text.
"""

from __future__ import annotations

from collections.abc import Sequence

from p5core.data.tables.files import TableFiles
from p5core.data.tables.sql import cell, decimal_comma, percentage, quote_identifier
from p5core.errors import DataError

__all__ = ["as_features", "as_ids", "as_text", "is_integer"]

INTEGER = r"(0|-?[1-9][0-9]*)(\.0+)?"
NUMBER = r"(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|nan)"
"""Pattern of texts that are numbers; "00501" is not one."""

JSON_TYPES = {"UBIGINT": "BIGINT", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "ARRAY": "VARCHAR[]"}


def is_integer(text: str) -> str:
    """SQL that tells whether a text, given as SQL, is written as a 64-bit integer."""
    return f"(regexp_full_match({text}, '{INTEGER}') AND TRY_CAST({text} AS BIGINT) IS NOT NULL)"


def as_ids(table: TableFiles, ids: Sequence[str], others: Sequence[str] = ()) -> dict[str, str]:
    """SQL of id columns in their types, and of other columns as they are.

    Text files and JSON lines are read once, `others` too, so that a fault in them is found here.
    """
    quoted = {column: quote_identifier(column) for column in (*ids, *others)}
    if table.format == "parquet":
        return quoted
    if table.format == "json":
        return {column: _json_id(table, column) for column in ids} | {
            column: f"{quoted[column]}->>'$'" for column in others
        }
    cells = {column: cell(quoted[column], table.null_words) for column in ids}
    tests = [_all(is_integer(cells[column]), cells[column]) for column in ids]
    reads = [f"count({quoted[column]})" for column in others]
    results = table.rows(f"SELECT {', '.join(tests + reads)} FROM {table.relation}")[0]
    for column, all_integers in zip(ids, results, strict=False):
        quoted[column] = f"CAST({cells[column]} AS BIGINT)" if all_integers else cells[column]
    return quoted


def as_text(table: TableFiles, column: str) -> str:
    """SQL of a column as it stands; a value of JSON as its text."""
    quoted = quote_identifier(column)
    return f"{quoted}->>'$' AS {quoted}" if table.format == "json" else quoted


def _all(test: str, column: str) -> str:
    """SQL that tells whether a test holds for all values of a text column; empty cells are none."""
    return f"bool_and({test}) FILTER (WHERE {column} IS NOT NULL AND {column} <> '')"


def as_features(table: TableFiles, columns: Sequence[str]) -> dict[str, str]:
    """SQL of feature columns: integers and numbers where all values are such, lists in JSON, texts otherwise."""
    quoted = {column: quote_identifier(column) for column in columns}
    if table.format == "parquet" or not columns:
        return quoted
    if table.format == "json":
        return {column: _json_feature(table, column) for column in columns}
    tests = [_all(test, name) for name in quoted.values() for test, _ in _numeric_forms(name)]
    results = iter(table.rows(f"SELECT {', '.join(tests)} FROM {table.relation}")[0])
    for column, name in quoted.items():
        fitting = [value for _, value in _numeric_forms(name) if next(results)]
        quoted[column] = fitting[0] if fitting else name
    return quoted


def _numeric_forms(name: str) -> list[tuple[str, str]]:
    """Ways in which all values of a text column may be numbers: SQL of the test of a value, and of the value."""
    # 007 is no number, and 1,500 may be one and a half or one thousand five hundred: such columns stay texts.
    other = f"regexp_full_match({name}, '[-+]?([0-9]{{1,3}},[0-9]{{3}}|0[0-9].*)')"
    comma = f"({decimal_comma(name)} IS NOT NULL AND NOT {other})"
    return [
        (is_integer(name), f"CAST(nullif({name}, '') AS BIGINT)"),
        (f"regexp_full_match({name}, '{NUMBER}')", f"CAST(nullif({name}, '') AS DOUBLE)"),
        (comma, decimal_comma(name)),
        (f"({percentage(name)} IS NOT NULL)", percentage(name)),
    ]


def _json_types(table: TableFiles, column: str) -> set[str]:
    rows = table.rows(f"SELECT DISTINCT json_type({quote_identifier(column)}) FROM {table.relation}")
    return {JSON_TYPES.get(kind, "VARCHAR") for (kind,) in rows if kind not in (None, "NULL")}


def _json_id(table: TableFiles, column: str) -> str:
    name = quote_identifier(column)
    types = _json_types(table, column)
    if "VARCHAR" in types and len(types) > 1:
        rows = (
            f"(SELECT row_number() OVER () AS n, {name} AS id, json_type({name}) = 'VARCHAR' AS is_text "
            f"FROM {table.relation})"
        )
        first = f"(SELECT arg_min(is_text, n) FROM {rows})"
        row, value = table.rows(f"SELECT n, id FROM {rows} WHERE is_text <> {first} ORDER BY n LIMIT 1")[0]
        raise DataError(
            f"{table.source}, row {row}, column '{column}': {value} is of another type than the ids before it. Make "
            "all ids strings or all ids integers."
        )
    if types == {"BIGINT"}:
        fits = f"bool_and(TRY_CAST({name} AS BIGINT) IS NOT NULL) FILTER (json_type({name}) <> 'NULL')"
        if not table.rows(f"SELECT {fits} FROM {table.relation}")[0][0]:
            return f"{name}->>'$'"
    return _json_feature(table, column)


def _json_feature(table: TableFiles, column: str) -> str:
    name = quote_identifier(column)
    types = _json_types(table, column)
    if types == {"BIGINT", "DOUBLE"}:
        return f"CAST({name} AS DOUBLE)"
    return f"{name}->>'$'" if len(types) != 1 or "VARCHAR" in types else f"CAST({name} AS {types.pop()})"
