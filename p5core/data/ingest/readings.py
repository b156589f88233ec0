"""Readings of textual timestamps, and the time of a row as SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p5core.data.tables.sql import quote_text

__all__ = ["COMPACT", "FIRST_YEAR", "READINGS", "Moment", "Reading"]

FOUR_DIGITS, TWO_DIGITS = "%Y", "%y"

HOURS = ("", " %H", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
"""Formats of the time after a date."""

YEARS = (1000, 9999)
"""Years of a date whose year has four digits: DuckDB takes "10" for the year 10."""


@dataclass(frozen=True)
class Moment:
    """The time of a row as SQL, and notes."""

    expression: str
    """SQL for a BIGINT: microseconds since 1970, or a bare order"""

    is_clock: bool
    notes: tuple[str, ...] = ()

    of_text: Callable[[str], str] | None = None
    """SQL of a TIMESTAMPTZ, given that of a text as the column has it; None: ISO 8601 alone"""

    row: str = '"p5_row"'
    """SQL of the order of rows at the same time: that of the source, or a finer one where times were rounded"""


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
    _with_hours("year, month, day", ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m-%d", "%Y %m %d")),
    Reading(
        "year, month, day",
        ("%Y-%m-%d %H:%M:%S,%g", "%Y-%m-%d %H:%M:%S %z UTC", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S"),
    ),
    Reading("year, month", ("%Y-%m", "%Y/%m")),
    *(
        _with_hours(f"{order}, with {digits}", [date.replace("Y", year[1]) for date in dates], begins_with)
        for digits, year in (("a year of four digits", FOUR_DIGITS), ("a year of two digits", TWO_DIGITS))
        for order, begins_with, dates in (
            ("day before month", "day", ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")),
            ("month before day", "month", ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y")),
        )
    ),
    _with_hours("year, month, day, with a year of two digits", ("%y-%m-%d", "%y/%m/%d", "%y.%m.%d"), "year"),
    _with_hours(
        "month in words",
        ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d %b, %Y", "%d %B, %Y", "%d-%B-%Y"),
    ),
    Reading(
        "month in words",
        (
            "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S UTC %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z",
            "%a, %d %b %Y %H:%M:%S GMT", "%d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z", "Posted %B %d, %Y.",
            "Posted %d %B, %Y.",
        ),
    ),
    _with_hours("month, day, year", ("%m %d, %Y",)),
)  # fmt: skip
"""Readings of textual timestamps, in order of preference."""

COMPACT = {
    8: (
        Reading("year, month, day", ("%Y%m%d",), "year"),
        Reading("day, month, year", ("%d%m%Y",), "day"),
        Reading("month, day, year", ("%m%d%Y",), "month"),
    ),
    10: (Reading("year, month, day, hour", ("%Y%m%d%H",)),),
    12: (Reading("year, month, day, hour, minute", ("%Y%m%d%H%M",)),),
    14: (Reading("year, month, day, hour, minute, second", ("%Y%m%d%H%M%S",)),),
}
"""Readings of timestamps made of digits only, by number of digits."""

FIRST_YEAR = 1900
"""Of COMPACT: earlier years are other numbers."""
