"""Reading timestamps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p5core.data.columns import TIMESTAMP
from p5core.data.raw import RawData
from p5core.errors import DataError

if TYPE_CHECKING:
    from p5core.data.staging import Workspace

__all__ = ["Moment", "time_in_microseconds"]

WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
FRACTIONAL = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*\)")
FORMATS = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d %H:%M:%S",
    "%m %d, %Y",
)
"""What is tried after ISO 8601; a day comes before its month."""

TO_MICROSECONDS = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "/ 1000", "step": ""}

TOO_LARGE = {"s": 2**63 / 1e6, "ms": 2**63 / 1e3, "us": 2.0**63, "ns": 2.0**63, "step": 2.0**63}
"""What no longer fits 64 bits in microseconds."""


@dataclass(frozen=True)
class Moment:
    """How the time of a row is computed."""

    expression: str
    """SQL for a BIGINT: microseconds since 1970, or a bare order"""

    is_clock: bool
    notes: tuple[str, ...] = ()


def time_in_microseconds(workspace: Workspace, raw: RawData, types: dict[str, str]) -> Moment:
    """Choose how to read the timestamp column of the table `raw`; without one the order of rows is the order.

    Raises DataError for a value that is no time, for mixed units, and when there is no value at all.
    """
    if TIMESTAMP not in types:
        return Moment('"row"', is_clock=False)
    n_known = workspace.row(f'SELECT count("{TIMESTAMP}") FROM raw')[0]
    if not n_known:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    kind = types[TIMESTAMP]
    if WHOLE.fullmatch(kind):
        return _numbers(workspace, raw, f'CAST("{TIMESTAMP}" AS HUGEINT)')
    if FRACTIONAL.fullmatch(kind):
        return _numbers(workspace, raw, f'CAST("{TIMESTAMP}" AS DOUBLE)')
    if kind.startswith(("TIMESTAMP", "DATE")):
        return Moment(f'epoch_us(CAST("{TIMESTAMP}" AS TIMESTAMPTZ))', is_clock=True)
    if kind == "VARCHAR":
        return _texts(workspace, raw)
    raise DataError(f"{raw.source}, column '{TIMESTAMP}' has type {kind}, which is no time. Name another column.")


def _texts(workspace: Workspace, raw: RawData) -> Moment:
    text = f"""nullif(trim("{TIMESTAMP}"), '')"""
    number = f"TRY_CAST({text} AS DOUBLE)"
    n_texts, n_numbers = workspace.row(f"SELECT count({text}), count({number}) FROM raw")
    if not n_texts:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    if n_texts == n_numbers:
        return _numbers(workspace, raw, number)
    formats = ", ".join(f"'{one}'" for one in FORMATS)
    parsed = f"coalesce(TRY_CAST({text} AS TIMESTAMPTZ), CAST(try_strptime({text}, [{formats}]) AS TIMESTAMPTZ))"
    found = workspace.rows(
        f'SELECT "row", "{TIMESTAMP}" FROM raw WHERE {text} IS NOT NULL AND {parsed} IS NULL ORDER BY "row" LIMIT 1'
    )
    if found:
        row, value = found[0]
        raise DataError(
            f"{raw.source}, row {raw.header_rows + row}, column '{TIMESTAMP}': {value!r} is no time that can be read. "
            "Use ISO 8601, such as 2024-05-17 13:45:00, or numbers."
        )
    return Moment(f"epoch_us({parsed})", is_clock=True)


def _numbers(workspace: Workspace, raw: RawData, number: str) -> Moment:
    size = f"abs(CAST({number} AS DOUBLE))"
    _refuse(workspace, raw, f"isinf({size})", "the time is infinite. Remove such rows.")
    unit = raw.time_unit or _guess_unit(workspace, raw, number)
    beyond = f"the time is beyond all calendars when it is taken as {_words(unit)}. Set time_unit or remove such rows."
    _refuse(workspace, raw, f"NOT isnan({size}) AND {size} >= {TOO_LARGE[unit]}", beyond)
    notes = () if raw.time_unit else (f"timestamps are numbers; taken as {_words(unit)}",)
    whole = f"CAST({number} {TO_MICROSECONDS[unit]} AS BIGINT)"
    return Moment(f"CASE WHEN isnan({size}) THEN NULL ELSE {whole} END", unit != "step", notes)


def _words(unit: str) -> str:
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "step": "a bare order"}
    return names[unit] + (" since 1970" if unit != "step" else "")


def _refuse(workspace: Workspace, raw: RawData, condition: str, fault: str) -> None:
    """Raise DataError with the first row where a condition holds."""
    found = workspace.rows(f'SELECT "row" FROM raw WHERE {condition} ORDER BY "row" LIMIT 1')
    if found:
        raise DataError(f"{raw.source}, row {raw.header_rows + found[0][0]}, column '{TIMESTAMP}': {fault}")


def _guess_unit(workspace: Workspace, raw: RawData, number: str) -> str:
    """By size: seconds of our time have ten digits, milliseconds thirteen, and so on; less is a bare order."""
    finite = f"abs(CAST({number} AS DOUBLE))"
    known = f"{number} IS NOT NULL AND NOT isnan({finite}) AND {finite} >= 1e8"
    found = workspace.row(
        f'SELECT min({finite}), max({finite}), arg_min("row", {finite}), arg_max("row", {finite}) FROM raw '
        f"WHERE {known}"
    )
    if found[0] is None:
        return "step"
    low, high = (_unit_of(value) for value in found[:2])
    if low != high:
        raise DataError(
            f"{raw.source}, column '{TIMESTAMP}' mixes units: "
            f"row {raw.header_rows + found[2]} looks like {_words(low)}, "
            f"row {raw.header_rows + found[3]} like {_words(high)}. Bring all to one unit, or set time_unit."
        )
    return low


def _unit_of(value: float) -> str:
    return "s" if value < 1e11 else "ms" if value < 1e14 else "us" if value < 1e17 else "ns"
