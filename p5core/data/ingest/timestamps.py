"""Reading timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import duckdb

from p5core.data.columns import TIMESTAMP
from p5core.data.raw import RawData
from p5core.data.tables.sql import quote_text
from p5core.errors import DataError
from p5core.system.messages import Message

if TYPE_CHECKING:
    from p5core.data.ingest.database import Workspace

__all__ = ["Moment", "Reading", "time_in_microseconds"]

Key = TypeVar("Key")

WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
FRACTIONAL = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*\)")
FOUR_DIGITS, TWO_DIGITS = "%Y", "%y"

HOURS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
"""Formats of the time after a date."""

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

    begins_with: str = ""
    """ "day", "month" or "year" where another reading may fit the same texts"""

    def of(self, text: str) -> str:
        """SQL of a TIMESTAMPTZ, NULL where a text, given as SQL, cannot be read so."""
        if not self.forms:
            is_iso = f"regexp_matches({text}, '^[0-9]{{4}}[-/][0-9]')"
            return f"CASE WHEN {is_iso} THEN TRY_CAST({text} AS TIMESTAMPTZ) END"
        parsed = f"try_strptime({text}, [{', '.join(quote_text(form) for form in self.forms)}])"
        return f"CAST(CASE WHEN year({parsed}) BETWEEN {YEARS[0]} AND {YEARS[1]} THEN {parsed} END AS TIMESTAMPTZ)"


def _with_hours(name: str, dates: Sequence[str], begins_with: str = "") -> Reading:
    return Reading(name, tuple(date + hour for date in dates for hour in HOURS), begins_with)


READINGS = (
    Reading("ISO 8601", ()),
    _with_hours("year, month, day", ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")),
    *(
        _with_hours(f"{order}, with {digits}", [date.replace("Y", year[1]) for date in dates], begins_with)
        for digits, year in (("a year of four digits", FOUR_DIGITS), ("a year of two digits", TWO_DIGITS))
        for order, begins_with, dates in (
            ("day before month", "day", ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")),
            ("month before day", "month", ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y")),
        )
    ),
    _with_hours("year, month, day, with a year of two digits", ("%y-%m-%d", "%y/%m/%d", "%y.%m.%d"), "year"),
    _with_hours("month in words", ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")),
    _with_hours("month, day, year", ("%m %d, %Y",)),
)
"""Readings of textual timestamps, in order of preference."""

COMPACT = {
    8: (
        Reading("year, month, day", ("%Y%m%d",), "year"),
        Reading("day, month, year", ("%d%m%Y",), "day"),
        Reading("month, day, year", ("%m%d%Y",), "month"),
    ),
    12: (Reading("year, month, day, hour, minute", ("%Y%m%d%H%M",)),),
    14: (Reading("year, month, day, hour, minute, second", ("%Y%m%d%H%M%S",)),),
}
"""Readings of timestamps made of digits only, by number of digits."""

FIRST_YEAR = 1900
"""Of COMPACT: earlier years are other numbers."""

TO_MICROSECONDS = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "/ 1000", "step": ""}

PER_SECOND = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds of each unit."""

TOO_LARGE = {"s": 2**63 / 1e6, "ms": 2**63 / 1e3, "us": 2.0**63, "ns": 2.0**63, "step": 2.0**63}
"""Bound of values that fit into 64 bits in microseconds."""


@dataclass(frozen=True)
class Moment:
    """The SQL expression of the time of a row, and notes."""

    expression: str
    """SQL for a BIGINT: microseconds since 1970, or a bare order"""

    is_clock: bool
    notes: tuple[str, ...] = ()


def time_in_microseconds(workspace: Workspace, raw: RawData, types: dict[str, str]) -> Moment:
    """Choose how to read the timestamp column of the table `raw`; without one the order of rows is the order.

    Raises DataError for a value that is no time, for mixed units, and when there is no value at all.
    """
    if TIMESTAMP not in types:
        return Moment('"row"', False, (Message("no times: the rows of each user are taken as oldest first"),))
    n_known = workspace.row(f'SELECT count("{TIMESTAMP}") FROM raw')[0]
    if not n_known:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    kind = types[TIMESTAMP]
    if WHOLE.fullmatch(kind) or FRACTIONAL.fullmatch(kind):
        written = _digits(f'"{TIMESTAMP}"')
        if raw.time_format is not None:
            return _texts(workspace, raw, written)
        compact = _compact(workspace, raw, written)
        if compact is not None:
            return compact
    if WHOLE.fullmatch(kind):
        return _numbers(workspace, raw, f'CAST("{TIMESTAMP}" AS HUGEINT)')
    if FRACTIONAL.fullmatch(kind):
        return _numbers(workspace, raw, f'CAST("{TIMESTAMP}" AS DOUBLE)')
    if kind.startswith(("TIMESTAMP", "DATE")):
        return Moment(f'epoch_us(CAST("{TIMESTAMP}" AS TIMESTAMPTZ))', is_clock=True)
    if kind == "VARCHAR":
        return _texts(workspace, raw, f"""nullif(trim("{TIMESTAMP}"), '')""")
    raise DataError(f"{raw.source}, column '{TIMESTAMP}' has type {kind}, which is no time. Name another column.")


def _texts(workspace: Workspace, raw: RawData, text: str) -> Moment:
    """One reading for the whole column: the one that fits every row."""
    if not workspace.row(f"SELECT count({text}) FROM raw")[0]:
        raise DataError(f"{raw.source}, column '{TIMESTAMP}' is empty. Name another column or leave it out.")
    number = f"TRY_CAST({text} AS DOUBLE)"
    if raw.time_format is None:
        compact = _compact(workspace, raw, text)
        if compact is not None:
            return compact
        if not _unread(workspace, text, {"": number})[""]:
            return _numbers(workspace, raw, number)
    readings = {reading: reading.of(text) for reading in _possible(raw)}
    unread = _unread(workspace, text, dict(readings))
    fitting = {reading: readings[reading] for reading, n in unread.items() if n == 0}
    if not fitting:
        raise _no_reading(workspace, raw, text, number, readings, unread)
    return _chosen(workspace, raw, text, fitting)


def _digits(number: str) -> str:
    """SQL of a number as people write it: whole ones without a point, NaN as nothing."""
    value = f"CAST({number} AS DOUBLE)"
    whole = f"CAST(TRY_CAST({number} AS HUGEINT) AS VARCHAR)"
    other = f"WHEN isnan({value}) THEN NULL ELSE CAST({number} AS VARCHAR)"
    return f"CASE WHEN {value} = floor({value}) THEN {whole} {other} END"


def _compact(workspace: Workspace, raw: RawData, text: str) -> Moment | None:
    """The reading for texts of digits that all are dates; None if they are numbers."""
    head = f'(SELECT "{TIMESTAMP}" FROM raw WHERE {text} IS NOT NULL LIMIT {LOOKED_AT})'
    n_digits = {_n_digits(workspace, head, text)}
    if raw.time_unit is not None or not n_digits & COMPACT.keys():
        return None
    n_digits.add(_n_digits(workspace, "raw", text))
    if len(n_digits) > 1:
        return None
    readings = {}
    for reading in COMPACT[n_digits.pop()]:
        if raw.day_first is None or reading.begins_with in ("", "day" if raw.day_first else "month"):
            sql = reading.of(text)
            readings[reading] = f"CASE WHEN year({sql}) BETWEEN {FIRST_YEAR} AND {_now().year + 1} THEN {sql} END"
    unread = _unread(workspace, text, dict(readings))
    fitting = {reading: readings[reading] for reading, n in unread.items() if n == 0}
    return _chosen(workspace, raw, text, fitting) if fitting else None


def _n_digits(workspace: Workspace, relation: str, text: str) -> int:
    """Number of digits that all texts have; 0 if it differs or there are other characters."""
    shortest, longest, n_odd = workspace.row(
        f"SELECT min(length({text})), max(length({text})), count_if(NOT regexp_full_match({text}, '[0-9]+')) "
        f"FROM {relation}"
    )
    return int(shortest or 0) if shortest == longest and not n_odd else 0


def _chosen(workspace: Workspace, raw: RawData, text: str, fitting: Mapping[Reading, str]) -> Moment:
    """The reading that does not reach into the future; raises DataError where several do not and they differ."""
    if len(fitting) > 1:
        latest = workspace.row(f"SELECT {', '.join(f'max(epoch_us({sql}))' for sql in fitting.values())} FROM raw")
        now = (_now() + timedelta(days=2)).timestamp() * 1e6
        past = {reading: fitting[reading] for reading, last in zip(fitting, latest, strict=True) if last <= now}
        fitting = past or fitting
    chosen, sql = next(iter(fitting.items()))
    witness = _ambiguous(workspace, text, list(fitting.values()))
    if witness and not raw.is_head:
        orders = ", ".join(f"{reading.begins_with or reading.name} first" for reading in fitting)
        raise DataError(
            f"{raw.source}, row {raw.header_rows + witness[0]}, column '{TIMESTAMP}': {witness[1]!r} can be read in "
            f"several ways, and so can all other rows ({orders}). Set day_first to true or false, or time_format."
        )
    notes = _told(workspace, text, chosen, sql)
    if witness:
        several = "times such as '{value}' can be read in several ways; set day_first or time_format"
        notes = (Message(several, value=witness[1]),)
    return Moment(f"epoch_us({sql})", True, notes)


def _now() -> datetime:
    return datetime.now(UTC)


def _possible(raw: RawData) -> Sequence[Reading]:
    if raw.time_format is not None:
        try:
            duckdb.execute("SELECT try_strptime('', ?)", [raw.time_format])
        except duckdb.Error:
            raise DataError(
                f"time_format = '{raw.time_format}' is no format of times. Write one such as '%d/%m/%Y %H:%M'."
            ) from None
        return (Reading(f"time_format '{raw.time_format}'", (raw.time_format,)),)
    if raw.day_first is None:
        return READINGS
    return [reading for reading in READINGS if reading.begins_with in ("", "day" if raw.day_first else "month")]


def _unread(workspace: Workspace, text: str, readings: Mapping[Key, str]) -> dict[Key, int]:
    """Number of texts that each reading fails on; one that fails on the first rows is not tried further."""
    relation = f'(SELECT "{TIMESTAMP}" FROM raw WHERE {text} IS NOT NULL LIMIT {LOOKED_AT})'
    unread = _count_unread(workspace, relation, text, readings)
    fitting = {reading: sql for reading, sql in readings.items() if unread[reading] == 0}
    return unread | (_count_unread(workspace, "raw", text, fitting) if fitting else {})


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
    expected, name = (number, "numbers") if is_number else (readings[most], most.name)
    n, row, value = workspace.row(
        f'SELECT count({text}), arg_min("row", "row"), arg_min("{TIMESTAMP}", "row") FROM raw '
        f"WHERE {text} IS NOT NULL AND {expected} IS NULL"
    )
    others = workspace.row(f"SELECT count({expected}) FROM raw")[0]
    as_others = f" as most of the column is ({name})" if others > n else ""
    return DataError(
        f"{raw.source}, row {raw.header_rows + row}, column '{TIMESTAMP}': {value!r} is no time that can be "
        f"read{as_others}. Use ISO 8601, such as 2024-05-17 13:45:00, or numbers, or set time_format, such as "
        "'%d/%m/%Y %H:%M'."
    )


def _ambiguous(workspace: Workspace, text: str, readings: Sequence[str]) -> tuple[int, str] | None:
    """Row and text of the first time that two readings of the column take for different moments."""
    differ = " OR ".join(f"{reading} <> {readings[0]}" for reading in readings[1:])
    if not differ:
        return None
    rows = workspace.rows(f'SELECT "row", {text} FROM raw WHERE {differ} ORDER BY "row" LIMIT 1')
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def _told(workspace: Workspace, text: str, chosen: Reading, sql: str) -> tuple[str, ...]:
    """A note on the reading of texts other than ISO 8601, with the first as an example."""
    if not chosen.forms:
        return ()
    value, moment = workspace.row(
        f'SELECT arg_min({text}, "row"), strftime(arg_min({sql}, "row"), \'%Y-%m-%d %H:%M:%S\') FROM raw '
        f"WHERE {sql} IS NOT NULL"
    )
    read = "times such as '{value}' are read as {moment} ({reading})"
    return (Message(read, value=value, moment=moment, reading=chosen.name),)


def _numbers(workspace: Workspace, raw: RawData, number: str) -> Moment:
    size = f"abs(CAST({number} AS DOUBLE))"
    _refuse(workspace, raw, f"isinf({size})", "the time is infinite. Remove such rows.")
    unit = raw.time_unit or _guess_unit(workspace, raw, number)
    beyond = f"the time is beyond all calendars when it is taken as {_words(unit)}. Set time_unit or remove such rows."
    _refuse(workspace, raw, f"NOT isnan({size}) AND {size} >= {TOO_LARGE[unit]}", beyond)
    notes = [] if raw.time_unit else [Message("timestamps are numbers; taken as {unit}", unit=_words(unit))]
    if unit != "step" and not raw.time_unit:
        (last,) = workspace.row(f"SELECT max(CAST({number} AS DOUBLE)) FROM raw WHERE NOT isnan({size})")
        if last * PER_SECOND[unit] > (_now() + timedelta(days=366)).timestamp():
            notes.append(
                Message("some times lie more than a year in the future; set time_unit or time_format if that is wrong")
            )
    whole = f"CAST({number} {TO_MICROSECONDS[unit]} AS BIGINT)"
    return Moment(f"CASE WHEN isnan({size}) THEN NULL ELSE {whole} END", unit != "step", tuple(notes))


def _words(unit: str) -> Message:
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    return Message("a bare order" if unit == "step" else f"{names[unit]} since 1970")


def _refuse(workspace: Workspace, raw: RawData, condition: str, fault: str) -> None:
    """Raise DataError with the first row where a condition holds."""
    rows = workspace.rows(f'SELECT "row" FROM raw WHERE {condition} ORDER BY "row" LIMIT 1')
    if rows:
        raise DataError(f"{raw.source}, row {raw.header_rows + rows[0][0]}, column '{TIMESTAMP}': {fault}")


def _guess_unit(workspace: Workspace, raw: RawData, number: str) -> str:
    """Guess the unit by magnitude: present seconds have ten digits, milliseconds thirteen, …; less is a bare order."""
    finite = f"abs(CAST({number} AS DOUBLE))"
    is_clock = f"{number} IS NOT NULL AND NOT isnan({finite}) AND {finite} >= 1e8"
    limits = workspace.row(
        f'SELECT min({finite}), max({finite}), arg_min("row", {finite}), arg_max("row", {finite}) FROM raw '
        f"WHERE {is_clock}"
    )
    if limits[0] is None:
        return "step"
    low, high = (_unit_of(value) for value in limits[:2])
    if low != high:
        raise DataError(
            f"{raw.source}, column '{TIMESTAMP}' mixes units: "
            f"row {raw.header_rows + limits[2]} looks like {_words(low)}, "
            f"row {raw.header_rows + limits[3]} like {_words(high)}. Bring all to one unit, or set time_unit."
        )
    return low


def _unit_of(value: float) -> str:
    return "s" if value < 1e11 else "ms" if value < 1e14 else "us" if value < 1e17 else "ns"
