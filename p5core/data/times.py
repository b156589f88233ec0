"""Reading timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import duckdb

from p5core.data.columns import TIMESTAMP
from p5core.data.raw import RawData
from p5core.data.sql import quote_text
from p5core.errors import DataError

if TYPE_CHECKING:
    from p5core.data.staging import Workspace

__all__ = ["Moment", "Reading", "time_in_microseconds"]

Key = TypeVar("Key")

WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
FRACTIONAL = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*\)")
FOUR_DIGITS, TWO_DIGITS = "%Y", "%y"

HOURS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
"""What may follow a date, here more and there less."""

LOOKED_AT = 20_000
"""Rows by which most readings of a column of texts are ruled out before all rows are looked at."""

YEARS = (1000, 9999)
"""Years of a date whose year has four digits: DuckDB takes "10" for the year 10."""


@dataclass(frozen=True)
class Reading:
    """One way to read all texts of a column."""

    name: str
    """in words, for messages"""

    forms: tuple[str, ...]
    """formats of strptime; none for ISO 8601"""

    day_first: bool | None = None
    """None where day and month cannot be confused"""

    def of(self, text: str) -> str:
        """SQL of a TIMESTAMPTZ, NULL where a text, given as SQL, cannot be read so."""
        if not self.forms:
            is_iso = f"regexp_matches({text}, '^[0-9]{{4}}[-/][0-9]')"
            return f"CASE WHEN {is_iso} THEN TRY_CAST({text} AS TIMESTAMPTZ) END"
        parsed = f"try_strptime({text}, [{', '.join(quote_text(one) for one in self.forms)}])"
        return f"CAST(CASE WHEN year({parsed}) BETWEEN {YEARS[0]} AND {YEARS[1]} THEN {parsed} END AS TIMESTAMPTZ)"


def _with_hours(name: str, dates: Sequence[str], day_first: bool | None = None) -> Reading:
    return Reading(name, tuple(date + hour for date in dates for hour in HOURS), day_first)


READINGS = (
    Reading("ISO 8601", ()),
    _with_hours("year, month, day", ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")),
    *(
        _with_hours(f"{order}, with {digits}", [one.replace("Y", year[1]) for one in dates], day_first)
        for digits, year in (("a year of four digits", FOUR_DIGITS), ("a year of two digits", TWO_DIGITS))
        for order, day_first, dates in (
            ("day before month", True, ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")),
            ("month before day", False, ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y")),
        )
    ),
    _with_hours("month in words", ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")),
    _with_hours("month, day, year", ("%m %d, %Y",)),
)
"""How texts are read, in the order in which equals are preferred."""

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
        return Moment('"row"', False, ("no times: the rows of each user are taken as oldest first",))
    n_known = workspace.row(f'SELECT count("{TIMESTAMP}") FROM raw')[0]
    if not n_known:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    kind = types[TIMESTAMP]
    if raw.time_format is not None and (WHOLE.fullmatch(kind) or kind == "VARCHAR"):
        return _texts(workspace, raw)
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
    """One reading for the whole column: the first that fits every row."""
    text = f"""nullif(trim(CAST("{TIMESTAMP}" AS VARCHAR)), '')"""
    if not workspace.row(f"SELECT count({text}) FROM raw")[0]:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    number = f"TRY_CAST({text} AS DOUBLE)"
    if raw.time_format is None and not _unread(workspace, text, {"": number})[""]:
        return _numbers(workspace, raw, number)
    readings = {one: one.of(text) for one in _possible(raw)}
    unread = _unread(workspace, text, dict(readings))
    fitting = [one for one, n in unread.items() if n == 0]
    if not fitting:
        raise _no_reading(workspace, raw, text, number, readings, unread)
    chosen = fitting[0]
    witness = _ambiguous(workspace, [one for one in fitting if one.day_first is not None], readings)
    if witness and not raw.is_head:
        raise DataError(
            f"{raw.source}, row {raw.header_rows + witness[0]}, column '{TIMESTAMP}': {witness[1]!r} may have the day "
            "or the month first, and so may all other rows. Set day_first to true or false."
        )
    notes = _told(workspace, chosen, readings[chosen])
    if witness:
        notes = (f"times such as '{witness[1]}' may have the day or the month first; set day_first",)
    return Moment(f"epoch_us({readings[chosen]})", True, notes)


def _possible(raw: RawData) -> Sequence[Reading]:
    if raw.time_format is not None:
        try:
            duckdb.execute("SELECT try_strptime('', ?)", [raw.time_format])
        except duckdb.Error:
            raise DataError(
                f"time_format = '{raw.time_format}' is no format of times. Write one such as '%d/%m/%Y %H:%M'."
            ) from None
        return (Reading(f"time_format '{raw.time_format}'", (raw.time_format,)),)
    return [one for one in READINGS if raw.day_first is None or one.day_first in (None, raw.day_first)]


def _unread(workspace: Workspace, text: str, readings: Mapping[Key, str]) -> dict[Key, int]:
    """How many texts each reading cannot read; one that fails on the first rows is not tried on the others."""
    relation = f'(SELECT "{TIMESTAMP}" FROM raw WHERE {text} IS NOT NULL LIMIT {LOOKED_AT})'
    found = _count_unread(workspace, relation, text, readings)
    fitting = {one: sql for one, sql in readings.items() if found[one] == 0}
    return found | (_count_unread(workspace, "raw", text, fitting) if fitting else {})


def _count_unread(workspace: Workspace, relation: str, text: str, readings: Mapping[Key, str]) -> dict[Key, int]:
    tests = ", ".join(f"count({text}) - count({sql})" for sql in readings.values())
    return dict(zip(readings, workspace.row(f"SELECT {tests} FROM {relation}"), strict=True))


def _no_reading(
    workspace: Workspace,
    raw: RawData,
    text: str,
    number: str,
    readings: Mapping[Reading, str],
    unread: Mapping[Reading, int],
) -> DataError:
    """The first text that does not fit what fits most of them."""
    most = min(readings, key=lambda one: unread[one])
    n_no_number = _count_unread(workspace, "raw", text, {"": number})[""]
    is_number = (
        raw.time_format is None and n_no_number < _count_unread(workspace, "raw", text, {"": readings[most]})[""]
    )
    wanted, name = (number, "numbers") if is_number else (readings[most], most.name)
    n, row, value = workspace.row(
        f'SELECT count({text}), arg_min("row", "row"), arg_min("{TIMESTAMP}", "row") FROM raw '
        f"WHERE {text} IS NOT NULL AND {wanted} IS NULL"
    )
    others = workspace.row(f"SELECT count({wanted}) FROM raw")[0]
    as_others = f" as most of the column is ({name})" if others > n else ""
    return DataError(
        f"{raw.source}, row {raw.header_rows + row}, column '{TIMESTAMP}': {value!r} is no time that can be "
        f"read{as_others}. Use ISO 8601, such as 2024-05-17 13:45:00, or numbers, or set time_format, such as "
        "'%d/%m/%Y %H:%M'."
    )


def _ambiguous(
    workspace: Workspace, fitting: Sequence[Reading], readings: Mapping[Reading, str]
) -> tuple[int, str] | None:
    """Row and text of the first time in which it matters whether the day or the month stands first."""
    if len({one.day_first for one in fitting}) < 2:
        return None
    one, other = (readings[next(one for one in fitting if one.day_first is first)] for first in (True, False))
    found = workspace.rows(f'SELECT "row", "{TIMESTAMP}" FROM raw WHERE {one} <> {other} ORDER BY "row" LIMIT 1')
    return (int(found[0][0]), str(found[0][1])) if found else None


def _told(workspace: Workspace, chosen: Reading, sql: str) -> tuple[str, ...]:
    """Say how texts other than ISO 8601 were read, by the first of them."""
    if not chosen.forms:
        return ()
    value, moment = workspace.row(
        f'SELECT arg_min("{TIMESTAMP}", "row"), strftime(arg_min({sql}, "row"), \'%Y-%m-%d %H:%M:%S\') FROM raw '
        f"WHERE {sql} IS NOT NULL"
    )
    return (f"times such as '{value}' are read as {moment} ({chosen.name})",)


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
