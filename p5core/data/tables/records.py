"""JSON lines that hold lists of records, such as {"user": 1, "events": [{"item": 2}, {"item": 3}]}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from p5core.data.columns import ITEM
from p5core.data.tables.columns import guess_column
from p5core.data.tables.files import TableFiles
from p5core.data.tables.sql import quote_identifier, quote_text
from p5core.errors import DataError, did_you_mean
from p5core.system.messages import Message

__all__ = ["unnest_records"]


def unnest_records(table: TableFiles, lists: Sequence[str], item: str | None) -> TableFiles:
    """A table with a row for each record of its `lists`, beside the other columns of the line.

    A column of the line that a record has too is called "line.timestamp". Where no list is named and no column is the
    item, the lists whose records have an item are taken, and told. Raises DataError when a list is not there.
    """
    if table.format != "json":
        if lists:
            raise DataError(f"{table.source} is no JSON, so it has no records '{lists[0]}'. Remove the option.")
        return table
    for name in lists:
        if name not in table.columns:
            raise DataError(
                f"{table.source} has no column '{name}' (records).{did_you_mean(name, table.columns)} Its columns: "
                f"{', '.join(table.columns)}."
            )
    chosen, notes = list(lists), table.notes
    guessed = guess_column(ITEM, table.columns)
    is_open = item not in table.columns and (guessed is None or _has_items(table, guessed, item))
    if not chosen and is_open:
        chosen = [name for name in table.columns if _has_items(table, name, item)]
        notes = (*notes, *([Message("guessed columns: {columns}", columns=f"records = {chosen}")] if chosen else []))
    return _unnested(replace(table, notes=notes), chosen) if chosen else table


def _has_items(table: TableFiles, column: str, item: str | None) -> bool:
    """True if the first list of a column, or its first object, holds an item."""
    records = f"SELECT unnest({_as_list(column)}) AS record FROM {table.relation}"
    keys = table.rows(f"SELECT json_keys(record) FROM ({records}) WHERE json_type(record) = 'OBJECT' LIMIT 1")
    return any(item in names if item else guess_column(ITEM, names) is not None for (names,) in keys)


def _as_list(column: str) -> str:
    """SQL of a JSON value as a list: of its elements, or of the one object that it is."""
    name = quote_identifier(column)
    return (
        f"CASE json_type({name}) WHEN 'ARRAY' THEN from_json({name}, '[\"JSON\"]') WHEN 'OBJECT' THEN [{name}] "
        "ELSE [] END"
    )


def _unnested(table: TableFiles, lists: Sequence[str]) -> TableFiles:
    kept = [name for name in table.columns if name not in lists]
    outer = ", ".join([*map(quote_identifier, kept), f"unnest({' || '.join(map(_as_list, lists))}) AS p5_record"])

    def records(relation: str) -> str:
        return f"SELECT {outer} FROM {relation}"

    paths = _paths(table, records(table.relation))
    if not paths:
        raise DataError(
            f"{table.source}: {', '.join(lists)} holds no objects. For lists of ids set item = '{lists[0]}' and "
            "explode = true instead of records."
        )
    outside = {name: name if name not in paths else f"line.{name}" for name in kept}
    inside = [f"p5_record->{quote_text(place)} AS {quote_identifier(path)}" for path, place in paths.items()]
    renamed = [f"{quote_identifier(name)} AS {quote_identifier(shown)}" for name, shown in outside.items()]
    selected = ", ".join([*renamed, *inside])

    def rows(relation: str) -> str:
        return f"(SELECT {selected} FROM ({records(relation)}))"

    return replace(
        table, relation=rows(table.relation), columns=(*outside.values(), *paths),
        each=tuple(rows(relation) for relation in table.each), source=f"{table.source}, records of {', '.join(lists)}",
    )  # fmt: skip


def _paths(table: TableFiles, records: str) -> dict[str, str]:
    """Name of a value in a record → its JSON path; those of an object inside are called "product.title"."""
    keys = f"SELECT p5_record, unnest(json_keys(p5_record)) AS key FROM ({records})"
    values = f"SELECT key, json_extract(p5_record, '$.\"' || key || '\"') AS value FROM ({keys})"
    grouped = (
        "SELECT key, bool_and(json_type(value) = 'OBJECT') FILTER (json_type(value) <> 'NULL'), "
        "list_distinct(flatten(list(CASE json_type(value) WHEN 'OBJECT' THEN json_keys(value) ELSE [] END))) "
        f"FROM ({values}) GROUP BY key ORDER BY key"
    )
    paths: dict[str, str] = {}
    for key, is_object, inner in table.rows(grouped):
        place = f"$.{quote_identifier(key)}"
        nested = {f"{key}.{name}": f"{place}.{quote_identifier(name)}" for name in sorted(inner)}
        paths |= nested if is_object else {key: place}
    return paths
