"""The events of a table as a query."""

from __future__ import annotations

from collections.abc import Sequence

from p5core.data.columns import DOMAIN, ITEM, TIMESTAMP, USER
from p5core.data.raw import Scan, SourceFile
from p5core.data.tables.columns import CALENDAR, Mapping, further_columns, plain_name
from p5core.data.tables.columntypes import as_ids, as_text
from p5core.data.tables.files import TableFiles, shown_names
from p5core.data.tables.sql import quote_identifier, quote_text

__all__ = ["day_order", "scan_events"]


def scan_events(table: TableFiles, mapping: Mapping, domain: str | None, text_ids: bool = False) -> Scan:
    """The mapped columns under our names, ids in their types, and all others as they are called.

    With `text_ids`, ids are texts as they are written even if all are integers. Raises DataError when the files cannot
    be read.
    """
    ids = [mapping.columns[USER], mapping.columns[ITEM]]
    is_untyped = table.format == "text"
    others = [column for column in mapping.columns.values() if text_ids or is_untyped or column not in ids]
    typed = as_ids(table, [] if text_ids or is_untyped else ids, others)
    selected = [f"{typed[column]} AS {quote_identifier(name)}" for name, column in mapping.columns.items()]
    selected += [as_text(table, column) for column in further_columns(mapping, table.columns)]
    selected += [
        f"{as_text(table, column).partition(' AS ')[0]} AS {quote_identifier(aside)}"
        for column, aside in mapping.aside.items()
    ]
    if mapping.time_parts:
        selected.append(f"{_joined_times(table, mapping.time_parts)} AS {quote_identifier(TIMESTAMP)}")
    if domain:
        selected.append(f"{quote_text(domain)} AS {quote_identifier(DOMAIN)}")
    query = f"SELECT {', '.join(selected)} FROM {table.relation}"
    headers = table.headers or (table.header_rows,) * len(table.files)
    files = zip(shown_names(table.files), table.each, headers, strict=False) if len(table.files) > 1 else ()
    counts = tuple(SourceFile(name, f"SELECT count(*) FROM {relation}", header) for name, relation, header in files)
    return Scan(query, counts, table.scratch, (USER, ITEM) if is_untyped and not text_ids else ())


def _joined_times(table: TableFiles, parts: Sequence[str]) -> str:
    """SQL of several columns as one text: a calendar as ISO 8601, others with spaces between."""
    values = {name: f"CAST({as_text(table, name).partition(' AS ')[0]} AS VARCHAR)" for name in parts}
    units = [plain_name(name) for name in parts]
    if not set(units) <= set(CALENDAR):
        first, *others = values.values()
        day = f"regexp_replace({first}, ' 00:00:00(\\.0+)?$', '')"  # as a spreadsheet writes a date
        is_whole = " AND ".join(f"{value} IS NOT NULL" for value in values.values())
        return f"CASE WHEN {is_whole} THEN concat_ws(' ', {', '.join([day, *others])}) END"
    numbers = {unit: _calendar_number(unit, values[name]) for unit, name in zip(units, parts, strict=True)}
    filled = [numbers.get(unit, "1" if unit in CALENDAR[:3] else "0") for unit in CALENDAR]
    text = f"printf('%04d-%02d-%02d %02d:%02d:%02d', {', '.join(filled)})"
    return f"CASE WHEN {' AND '.join(f'{number} IS NOT NULL' for number in numbers.values())} THEN {text} END"


def _calendar_number(unit: str, value: str) -> str:
    """SQL of a part of a date as a number; months may be names."""
    number = f"TRY_CAST({value} AS INTEGER)"
    if unit != "month":
        return number
    named = [f"month(try_strptime(trim({value}), {quote_text(form)}))" for form in ("%b", "%B")]
    return f"coalesce({', '.join([number, *named])})"


def day_order(table: TableFiles, column: str) -> bool | None:
    """True if dates of a text column have the day first, judged by all rows; None if ambiguous.

    Raises DataError when the files cannot be read.
    """
    text = f"CAST({quote_identifier(column)} AS VARCHAR)"
    first, second = (
        f"TRY_CAST(regexp_extract({text}, '^\\s*([0-9]{{1,2}})[-/.]([0-9]{{1,2}})[-/.][0-9]', {place}) AS INTEGER) > 12"
        for place in (1, 2)
    )
    is_day, is_month = table.rows(f"SELECT bool_or({first}), bool_or({second}) FROM {table.relation}")[0]
    return None if bool(is_day) == bool(is_month) else bool(is_day)
