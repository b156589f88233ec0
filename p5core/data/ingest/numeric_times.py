"""Numeric timestamps: seconds or finer since 1970, days of a spreadsheet, or a bare order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p5core.data.columns import TIMESTAMP
from p5core.data.ingest.readings import Moment
from p5core.data.raw import RawData
from p5core.errors import DataError
from p5core.system.messages import Message

if TYPE_CHECKING:
    from p5core.data.ingest.database import Workspace

__all__ = ["numeric_time"]

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units in a second."""

YEAR_10_000 = 253_402_300_800
"""Seconds since 1970 that no calendar holds."""

TOO_LARGE = {**{unit: YEAR_10_000 * n for unit, n in PER_SECOND.items()}, "step": 1e308, "excel": 2_958_466}
"""Bound of the values that are times, by unit."""

SIZES = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
"""Least value of a unit in our time, and that of the next unit."""

EXCEL_1970 = 25_569
"""Days from the origin of spreadsheets, 1899-12-30, to 1970."""

EXCEL_DAYS = (36_526, 55_153)
"""2000 to 2050 in days of spreadsheets."""

SMALLEST_CLOCK = 1e8
"""Seconds since 1970 below which numbers are a bare order: 1973."""


def numeric_time(workspace: Workspace, raw: RawData, number: str, is_whole: bool) -> Moment:
    """The time of numbers, given as SQL of HUGEINT (`is_whole`) or DOUBLE, in the unit that is named or fits.

    Zero and negative numbers of a clock are missing times. Raises DataError for mixed units, and for times that are
    infinite or beyond all calendars, unless such rows are left out.
    """
    size = f"abs(CAST({number} AS DOUBLE))"
    is_dropped = raw.on_error == "drop"
    if not is_dropped:
        _refuse(workspace, raw, f"isinf({size})", "the time is infinite. Remove such rows, or set on_error = 'drop'.")
    unit = raw.time_unit or _guess_unit(workspace, raw, number)
    if is_dropped:
        least, most = (0, TOO_LARGE[unit]) if raw.time_unit or unit not in SIZES else SIZES[unit]
        number = f"CASE WHEN {size} < {most} AND NOT ({number} > 0 AND {size} < {least}) THEN {number} END"
        size = f"abs(CAST({number} AS DOUBLE))"
    beyond = f"the time is beyond all calendars when it is taken as {_words(unit)}. Set time_unit or remove such rows."
    _refuse(workspace, raw, f"NOT isnan({size}) AND {size} >= {TOO_LARGE[unit]}", beyond)
    taken = Message("timestamps are numbers; taken as {unit}", unit=_words(unit))
    told: tuple[Message, ...] = () if raw.time_unit else (taken,)
    if unit == "step":
        return Moment(_steps(workspace, number, size, is_whole), False, told)
    missing = f"isnan({size}) OR {number} <= 0"
    told += _missing_notes(workspace, number, size)
    time = f"CASE WHEN {missing} THEN NULL ELSE {_microseconds(number, unit, is_whole)} END"
    is_finer = unit == "ns" or (not is_whole and _is_finer(workspace, number, unit))
    row = f'row_number() OVER (ORDER BY {number}, "p5_row")' if is_finer else '"p5_row"'
    return Moment(time, True, told, row=row)


def _is_finer(workspace: Workspace, number: str, unit: str) -> bool:
    """True if numbers have more digits than microseconds hold."""
    if unit == "excel":
        return False
    scaled = f"{number} * {max(1, 1_000_000 // PER_SECOND[unit])}"
    return bool(workspace.row(f"SELECT coalesce(bool_or({scaled} <> floor({scaled})), false) FROM raw")[0])


def _steps(workspace: Workspace, number: str, size: str, is_whole: bool) -> str:
    """SQL of a bare order: the number itself, or its rank where 64 bits cannot hold it exactly."""
    is_present = f"{number} IS NOT NULL AND NOT isnan({size})"
    inexact = f"{size} >= {2.0**62}" if is_whole else f"{number} <> floor({number}) OR {size} >= {2.0**53}"
    if workspace.row(f"SELECT coalesce(bool_or({inexact}), false) FROM raw WHERE {is_present}")[0]:
        return f"CASE WHEN {is_present} THEN dense_rank() OVER (ORDER BY {number}) END"
    return f"CASE WHEN {is_present} THEN CAST({number} AS BIGINT) END"


def _microseconds(number: str, unit: str, is_whole: bool) -> str:
    if unit == "excel":
        return f"CAST(round((CAST({number} AS DOUBLE) - {EXCEL_1970}) * 86400 * 1e6) AS BIGINT)"
    times, parts = 1_000_000 // PER_SECOND[unit], max(1, PER_SECOND[unit] // 1_000_000)
    wide = f"CAST({number} AS HUGEINT)" if is_whole else number
    return f"CAST({wide} * {max(1, times)} {'//' if is_whole else '/'} {parts} AS BIGINT)"


def _missing_notes(workspace: Workspace, number: str, size: str) -> tuple[Message, ...]:
    (n_missing,) = workspace.row(f"SELECT count_if({number} <= 0 AND NOT isnan({size})) FROM raw")
    note = "{n} times are zero or negative, and so missing"
    return (Message(note, n=f"{n_missing:,}"),) if n_missing else ()


def _words(unit: str) -> Message:
    if unit == "excel":
        return Message("days of a spreadsheet")
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    return Message("a bare order" if unit == "step" else f"{names[unit]} since 1970")


def _refuse(workspace: Workspace, raw: RawData, condition: str, fault: str) -> None:
    """Raise DataError with the first row where a condition holds."""
    rows = workspace.rows(f'SELECT "p5_row" FROM raw WHERE {condition} ORDER BY "p5_row" LIMIT 1')
    if rows:
        raise DataError(f"{raw.place(rows[0][0])}, column '{raw.column(TIMESTAMP)}': {fault}")


def _guess_unit(workspace: Workspace, raw: RawData, number: str) -> str:
    """Guess the unit by magnitude: present seconds have ten digits, milliseconds thirteen, …; less is a bare order."""
    finite = f"abs(CAST({number} AS DOUBLE))"
    is_clock = f"{number} IS NOT NULL AND NOT isnan({finite}) AND {finite} >= {SMALLEST_CLOCK}"
    limits = workspace.row(f"SELECT min({finite}), max({finite}) FROM raw WHERE {is_clock}")
    if limits[0] is None:
        return _spreadsheet_or_step(workspace, number, finite)
    low, high = (_unit_of(value) for value in limits)
    if low != high and raw.on_error == "drop":
        return _most_common_unit(workspace, finite, is_clock)
    if low != high:
        rows = workspace.row(
            f'SELECT arg_min("p5_row", {finite}), arg_max("p5_row", {finite}) FROM raw WHERE {is_clock}'
        )
        first, second = (raw.place(row) for row in rows)
        raise DataError(
            f"{first}, column '{raw.column(TIMESTAMP)}': the time looks like {_words(low)}, but that of {second} like "
            f"{_words(high)}. Bring all to one unit, or leave the rarer ones out with on_error = 'drop'."
        )
    return low


def _most_common_unit(workspace: Workspace, finite: str, is_clock: str) -> str:
    counts = ", ".join(f"count_if({finite} >= {least} AND {finite} < {most})" for least, most in SIZES.values())
    n_rows = dict(zip(SIZES, workspace.row(f"SELECT {counts} FROM raw WHERE {is_clock}"), strict=True))
    return max(n_rows, key=lambda unit: int(n_rows[unit]))


def _spreadsheet_or_step(workspace: Workspace, number: str, finite: str) -> str:
    """Days of a spreadsheet have fractions, and all lie in our time."""
    first, last = EXCEL_DAYS
    is_day = f"{number} BETWEEN {first} AND {last}"
    all_days, any_fraction = workspace.row(
        f"SELECT bool_and({is_day}), bool_or({number} <> floor(CAST({number} AS DOUBLE))) FROM raw "
        f"WHERE {number} IS NOT NULL AND NOT isnan({finite})"
    )
    return "excel" if all_days and any_fraction else "step"


def _unit_of(value: float) -> str:
    return next((unit for unit, (_, most) in SIZES.items() if value < most), "ns")
