"""Reading timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import duckdb

from p5core.data.columns import TIMESTAMP
from p5core.data.ingest.numeric_times import numeric_time
from p5core.data.ingest.readings import COMPACT, FIRST_YEAR, READINGS, Moment, Reading
from p5core.data.raw import RawData
from p5core.data.tables.sql import NULL_WORDS, cell, decimal_comma, quote_identifier, quote_text
from p5core.errors import DataError
from p5core.system.messages import Message

if TYPE_CHECKING:
    from p5core.data.ingest.database import Workspace

__all__ = ["time_in_microseconds"]

Key = TypeVar("Key")

WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
WIDE = {"UBIGINT", "HUGEINT", "UHUGEINT"}
"""Integer types that 64 bits with a sign do not hold."""

HOUR = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2})?(\.\d+)?\s*([AaPp][Mm])?\s*")
NO_DATES = ("0000-00-00", "0000-00-00 00:00:00", "infinity", "-infinity", "epoch")
"""Missing dates of MySQL, and words of PostgreSQL that DuckDB takes for dates."""

EXACT = "DECIMAL(38, 12)"
"""Type of numbers with fractions that a double would round."""

FRACTIONAL = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*\)")
LOOKED_AT = (200, 20_000)
"""First rows by which most readings of a column of texts are ruled out before all rows are looked at."""


def time_in_microseconds(workspace: Workspace, raw: RawData, types: dict[str, str]) -> Moment:
    """Choose how to read the timestamp column of the table `raw`; without one the order of rows is the order.

    Raises DataError for a value that is no time, for mixed units, and when there is no value at all.
    """
    if TIMESTAMP not in types:
        return Moment('"p5_row"', False, (Message("no times: the rows of each user are taken as oldest first"),))
    if not workspace.rows(f'SELECT 1 FROM raw WHERE "{TIMESTAMP}" IS NOT NULL LIMIT 1'):
        raise DataError(
            f"{raw.source}, column '{raw.column(TIMESTAMP)}' is empty. Name another column or leave it out."
        )
    kind = types[TIMESTAMP]
    if WHOLE.fullmatch(kind) or FRACTIONAL.fullmatch(kind):
        written = _digits(f'"{TIMESTAMP}"')
        if raw.time_format is not None:
            return _texts(workspace, raw, written)
        compact = _compact(workspace, raw, written)
        if compact is not None:
            return compact
    if WHOLE.fullmatch(kind) or kind.endswith(",0)"):
        wide = "HUGEINT" if kind in WIDE or kind.endswith(",0)") else "BIGINT"
        return numeric_time(workspace, raw, f'CAST("{TIMESTAMP}" AS {wide})', is_whole=True)
    if FRACTIONAL.fullmatch(kind):
        scale = kind.rpartition(",")[2].rstrip(")")  # of a decimal, which a double would round
        exact = f"DECIMAL(38, {scale})" if kind.startswith("DECIMAL") else "DOUBLE"
        number = f'CAST("{TIMESTAMP}" AS {exact})'
        return numeric_time(workspace, raw, number, is_whole=False)
    if kind.startswith(("TIMESTAMP", "DATE")):
        row = f'row_number() OVER (ORDER BY "{TIMESTAMP}", "p5_row")' if kind.endswith("_NS") else '"p5_row"'
        return Moment(f'epoch_us(CAST("{TIMESTAMP}" AS TIMESTAMPTZ))', is_clock=True, row=row)
    if kind == "VARCHAR":
        words = (*(NULL_WORDS if raw.null_words is None else raw.null_words), *NO_DATES)
        return _texts(workspace, raw, cell(f'"{TIMESTAMP}"', words))
    raise DataError(
        f"{raw.source}, column '{raw.column(TIMESTAMP)}' has type {kind}, which is no time. Name another column."
    )


def _texts(workspace: Workspace, raw: RawData, text: str) -> Moment:
    """One reading for the whole column: the one that fits every row."""
    if not workspace.rows(f"SELECT 1 FROM raw WHERE {text} IS NOT NULL LIMIT 1"):
        raise DataError(
            f"{raw.source}, column '{raw.column(TIMESTAMP)}' is empty. Name another column or leave it out."
        )
    number = f"TRY_CAST({text} AS DOUBLE)"
    if raw.time_format is None and not _unread(workspace, text, {"": decimal_comma(text)})[""]:
        text = _computed(workspace, "VARCHAR", f"replace({text}, ',', '.')")
        number = f"TRY_CAST({text} AS DOUBLE)"
    if raw.time_format is None:
        compact = _compact(workspace, raw, text)
        if compact is not None:
            return compact
        digits = f"CASE WHEN regexp_full_match({text}, '[-+]?[0-9]+') THEN {text} END"
        for kind in ("BIGINT", "HUGEINT"):
            whole = f"TRY_CAST({digits} AS {kind})"
            if not _unread(workspace, text, {"": whole})[""]:
                return numeric_time(workspace, raw, _computed(workspace, kind, whole), is_whole=True)
        exact = f"TRY_CAST({text} AS {EXACT})"
        for kind, value in ((EXACT, exact), ("DOUBLE", number)):
            if not _unread(workspace, text, {"": value})[""]:
                return numeric_time(workspace, raw, _computed(workspace, kind, value), is_whole=False)
    readings = {reading: reading.of(text) for reading in _possible(raw)}
    first = next(iter(readings))  # ISO 8601, which no other reading takes for another moment
    if not first.forms and not _unread(workspace, text, {first: readings[first]})[first]:
        _refuse_abbreviations(workspace, raw, text)
        return Moment(f"epoch_us({readings[first]})", True, row=_finer_than_microseconds(workspace, text))
    fitting = _fitting(workspace, text, readings)
    if not fitting and raw.day_first is False and raw.time_format is None:
        years = [reading for reading in READINGS if reading.begins_with == "year"]
        fitting = _fitting(workspace, text, {reading: reading.of(text) for reading in years})
    if fitting:
        return _chosen(workspace, raw, text, fitting)
    if raw.on_error == "drop":
        return _most(workspace, raw, text, number, readings)
    raise _no_reading(workspace, raw, text, number, readings)


def _refuse_abbreviations(workspace: Workspace, raw: RawData, text: str) -> None:
    """Raise DataError for abbreviations of zones: DuckDB takes BST for the time of Bangladesh."""
    column = quote_identifier(TIMESTAMP)
    is_zone = f"regexp_matches({text}, '[A-Za-z]{{2,}}$') AND NOT regexp_matches({text}, '(UTC|GMT|/\\w+)$')"
    rows = workspace.rows(
        f"SELECT \"p5_row\", {text} FROM raw WHERE CASE WHEN right({column}, 1) >= 'A' THEN {is_zone} END "
        'ORDER BY "p5_row" LIMIT 1'
    )
    if rows:
        row, value = rows[0]
        raise DataError(
            f"{raw.place(row)}, column '{raw.column(TIMESTAMP)}': the zone of {value!r} is of several countries. Write "
            "offsets, such as +01:00."
        )


def _computed(workspace: Workspace, kind: str, expression: str) -> str:
    """The column with the values of an expression, which many queries read: computed once, and its SQL."""
    workspace.run(f'ALTER TABLE raw ALTER "{TIMESTAMP}" TYPE {kind} USING {expression}')
    return f'"{TIMESTAMP}"'


def _finer_than_microseconds(workspace: Workspace, text: str) -> str:
    """SQL of the order of rows at the same microsecond: by the digits of their fractions, where some have more."""
    fraction = f"regexp_extract({text}, '[.,]([0-9]+)', 1)"
    has_more = workspace.row(
        f"SELECT coalesce(bool_or(length({fraction}) > 6), false) FROM {_head(text, LOOKED_AT[-1])}"
    )
    return f'row_number() OVER (ORDER BY {fraction}, "p5_row")' if has_more[0] else '"p5_row"'


def _digits(number: str) -> str:
    """SQL of a number as people write it: whole ones without a point, NaN as nothing."""
    value = f"CAST({number} AS DOUBLE)"
    whole = f"CAST(TRY_CAST({number} AS HUGEINT) AS VARCHAR)"
    other = f"WHEN isnan({value}) THEN NULL ELSE CAST({number} AS VARCHAR)"
    return f"CASE WHEN {value} = floor({value}) THEN {whole} {other} END"


def _compact(workspace: Workspace, raw: RawData, text: str) -> Moment | None:
    """The reading for texts of digits that all are dates; None if they are numbers."""
    n_digits = {_n_digits(workspace, _head(text, LOOKED_AT[-1]), text)}
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
            f"{raw.place(witness[0])}, column '{raw.column(TIMESTAMP)}': {witness[1]!r} can be read in "
            f"several ways that fit the column ({orders}). Set day_first to true or false, or time_format."
        )
    notes = _told(workspace, text, chosen, sql)
    if witness:
        several = "times such as '{value}' can be read in several ways; set day_first or time_format"
        notes = (Message(several, value=witness[1]),)
    has_fractions = any("%f" in form or "%n" in form for form in chosen.forms)
    row = _finer_than_microseconds(workspace, text) if has_fractions else '"p5_row"'
    return Moment(f"epoch_us({sql})", True, notes, chosen.of, row)


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
    beginning = "day" if raw.day_first else "month"
    return [reading for reading in READINGS if reading.begins_with in ("", beginning)]


def _unread(workspace: Workspace, text: str, readings: Mapping[Key, str]) -> dict[Key, int]:
    """Number of texts that each reading fails on; one that fails on the first rows is not tried further."""
    unread: dict[Key, int] = {}
    fitting = dict(readings)
    for relation in (*(_head(text, n_rows) for n_rows in LOOKED_AT), "raw"):
        if fitting:
            unread |= _count_unread(workspace, relation, text, fitting)
        fitting = {reading: sql for reading, sql in fitting.items() if unread[reading] == 0}
    return unread


def _fitting(workspace: Workspace, text: str, readings: Mapping[Reading, str]) -> dict[Reading, str]:
    """The readings that fit every text, with only the formats that occur: fewer formats are tried in less time."""
    likely = dict(readings)
    for n_rows in LOOKED_AT:
        unread = _count_unread(workspace, _head(text, n_rows), text, likely) if likely else {}
        likely = {reading: sql for reading, sql in likely.items() if unread[reading] == 0}
    fitting = {}
    for reading in likely:
        narrow = _narrowed(workspace, text, reading)
        for candidate in dict.fromkeys((narrow, reading)):
            tried = candidate.of(text)
            if not _count_unread(workspace, "raw", text, {"": tried})[""]:
                fitting[candidate] = tried
                break
    return fitting


def _narrowed(workspace: Workspace, text: str, reading: Reading) -> Reading:
    """The reading with those of its formats that the first rows have."""
    if not reading.forms:
        return reading
    counts = ", ".join(f"count(try_strptime({text}, {quote_text(form)}))" for form in reading.forms)
    occurs = workspace.row(f"SELECT {counts} FROM {_head(text, LOOKED_AT[-1])}")
    return replace(reading, forms=tuple(form for form, n in zip(reading.forms, occurs, strict=True) if n))


def _head(text: str, n_rows: int) -> str:
    """SQL of the first rows with a text."""
    return f'(SELECT "{TIMESTAMP}" FROM raw WHERE {text} IS NOT NULL LIMIT {n_rows})'


def _count_unread(workspace: Workspace, relation: str, text: str, readings: Mapping[Key, str]) -> dict[Key, int]:
    tests = ", ".join(f"count({text}) - count({sql})" for sql in readings.values())
    return dict(zip(readings, workspace.row(f"SELECT {tests} FROM {relation}"), strict=True))


def _no_reading(
    workspace: Workspace,
    raw: RawData,
    text: str,
    number: str,
    readings: Mapping[Reading, str],
) -> DataError:
    """The first text that does not fit what fits most of them."""
    unread = _count_unread(workspace, _head(text, LOOKED_AT[-1]), text, readings)
    most = min(readings, key=lambda reading: unread[reading])
    n_no_number = _count_unread(workspace, "raw", text, {"": number})[""]
    is_number = (
        raw.time_format is None and n_no_number < _count_unread(workspace, "raw", text, {"": readings[most]})[""]
    )
    expected, name = (number, "numbers") if is_number else (readings[most], most.name)
    n, row, value = workspace.row(
        f'SELECT count({text}), arg_min("p5_row", "p5_row"), arg_min("{TIMESTAMP}", "p5_row") FROM raw '
        f"WHERE {text} IS NOT NULL AND {expected} IS NULL"
    )
    others = workspace.row(f"SELECT count({expected}) FROM raw")[0]
    as_others = f" as most of the column is ({name})" if others > n else ""
    remedy = "Use ISO 8601, such as 2024-05-17 13:45:00, or numbers, or set time_format, such as '%d/%m/%Y %H:%M'."
    if HOUR.fullmatch(str(value)):
        remedy = "Join it with the column of the date: timestamp = ['date', 'time']."
    drop = " on_error = 'drop' leaves such rows out." if as_others else ""
    place = f"{raw.place(row)}, column '{raw.column(TIMESTAMP)}'"
    return DataError(f"{place}: {value!r} is no time that can be read{as_others}. {remedy}{drop}")


def _most(
    workspace: Workspace,
    raw: RawData,
    text: str,
    number: str,
    readings: Mapping[Reading, str],
) -> Moment:
    """The reading of most texts; the others become missing."""
    n_no_number = _count_unread(workspace, "raw", text, {"": number})[""]
    n_unread = _count_unread(workspace, "raw", text, readings)
    best = min(readings, key=lambda reading: n_unread[reading])
    (n_texts,) = workspace.row(f"SELECT count({text}) FROM raw")
    if min(n_no_number, n_unread[best]) == n_texts:
        raise _no_reading(workspace, raw, text, number, readings)
    if n_no_number < n_unread[best]:
        whole = f"CASE WHEN regexp_full_match({text}, '[-+]?[0-9]+') THEN TRY_CAST({text} AS HUGEINT) END"
        exact = f"TRY_CAST({text} AS {EXACT})"
        for value, is_whole in ((whole, True), (exact, False)):
            if _count_unread(workspace, "raw", text, {"": value})[""] == n_no_number:
                return numeric_time(workspace, raw, value, is_whole=is_whole)
        return numeric_time(workspace, raw, number, is_whole=False)
    as_good = {reading: sql for reading, sql in readings.items() if n_unread[reading] == n_unread[best]}
    return _chosen(workspace, raw, text, as_good)


def _ambiguous(workspace: Workspace, text: str, readings: Sequence[str]) -> tuple[int, str] | None:
    """Row and text of the first time that two readings of the column take for different moments."""
    differ = " OR ".join(f"{reading} <> {readings[0]}" for reading in readings[1:])
    if not differ:
        return None
    rows = workspace.rows(f'SELECT "p5_row", {text} FROM raw WHERE {differ} ORDER BY "p5_row" LIMIT 1')
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def _told(workspace: Workspace, text: str, chosen: Reading, sql: str) -> tuple[str, ...]:
    """A note on the reading of texts other than ISO 8601, with the first as an example."""
    if not chosen.forms:
        return ()
    value, moment = workspace.row(
        f"SELECT {text}, strftime({sql}, '%Y-%m-%d %H:%M:%S') FROM raw WHERE {sql} IS NOT NULL LIMIT 1"
    )
    read = "times such as '{value}' are read as {moment} ({reading})"
    return (Message(read, value=value, moment=moment, reading=chosen.name),)
