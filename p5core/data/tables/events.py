"""The events of a table as a query."""

from __future__ import annotations

from p5core.data.columns import DOMAIN, ITEM, USER
from p5core.data.raw import Scan
from p5core.data.tables.columns import Mapping, further_columns
from p5core.data.tables.columntypes import as_ids, as_text
from p5core.data.tables.files import TableFiles
from p5core.data.tables.sql import quote_identifier, quote_text

__all__ = ["day_order", "scan_events"]


def scan_events(table: TableFiles, mapping: Mapping, domain: str | None) -> Scan:
    """The mapped columns under our names, ids in their types, and all others as they are called.

    Raises DataError when the files cannot be read.
    """
    ids = [mapping.columns[USER], mapping.columns[ITEM]]
    typed = as_ids(table, ids, [column for column in mapping.columns.values() if column not in ids])
    selected = [f"{typed[column]} AS {quote_identifier(name)}" for name, column in mapping.columns.items()]
    selected += [as_text(table, column) for column in further_columns(mapping, table.columns)]
    if domain:
        selected.append(f"{quote_text(domain)} AS {quote_identifier(DOMAIN)}")
    return Scan(f"SELECT {', '.join(selected)} FROM {table.relation}")


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
