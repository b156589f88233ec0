"""Reading raw rows into DuckDB: ids, times and values as they must be, or a sentence that says where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd

from p5core.data.columns import DOMAIN, EVENT, ITEM, RATING, TIMESTAMP, USER, WEIGHT
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.fields import StagedField, field_expressions
from p5core.data.ingest.id_columns import id_expression, ids_told, is_no_id, refuse_mixed_ids, store_integers
from p5core.data.ingest.readings import Moment
from p5core.data.ingest.timestamps import time_in_microseconds
from p5core.data.profile.report import Dropped, Rejected
from p5core.data.raw import RawData, Scan
from p5core.data.tables.columntypes import is_integer
from p5core.data.tables.conditions import Operand, parse_condition
from p5core.data.tables.sql import NULL_WORDS, cell, quote_identifier, quote_text
from p5core.data.vocabulary import PAD_INT
from p5core.errors import DataError, did_you_mean
from p5core.system.messages import Message

__all__ = ["Staged", "stage"]

KNOWN_COLUMNS = (USER, ITEM, TIMESTAMP, RATING, WEIGHT, EVENT, DOMAIN)
"""Columns that are read without being named."""

MAX_REJECTED = 10_000
"""Rejected rows that are kept for the report."""

EARLIEST_YEAR = 1990
"""Year before which the first event is told, as it may be a missing time or a wrong unit."""


@dataclass(frozen=True)
class Staged:
    """The table `events`: row, user, item (raw ids), domain, time, and a column for each field."""

    n_read: int
    dropped: tuple[Dropped, ...]
    has_clock: bool
    fields: tuple[StagedField, ...]
    has_domain: bool
    """True if rows have a domain; otherwise all belong to one"""
    notes: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    """cells for which rows were left out"""

    @property
    def has_rating(self) -> bool:
        """True if the events have ratings."""
        return any(field.name == RATING for field in self.fields)


def stage(workspace: Workspace, raw: RawData, fields: Sequence[str] = ()) -> Staged:
    """Fill the table `events` from raw rows, with the further columns `fields`; raises DataError for faulty rows."""
    notes = _load(workspace, raw, fields)
    n_read = workspace.count("raw")
    if n_read == 0:
        raise DataError(f"{raw.source} has no rows. Check the path and the header option.")
    left_out = (*_drop_headers(workspace, raw), *_filter(workspace, raw))
    store_integers(workspace, raw)
    types = {name: kind for name, kind, *_ in workspace.rows("DESCRIBE raw") if name != "p5_row"}
    user, item = (id_expression(workspace, raw, types, column) for column in (USER, ITEM))
    staged_fields, values, told = field_expressions(workspace, raw, types)
    told = (*told, *(note for column in (USER, ITEM) for note in ids_told(workspace, raw, types, column)))
    moment = time_in_microseconds(workspace, raw, types)
    left_out += _filter_by_time(workspace, raw, types, moment)
    expressions = {"user": user, "item": item, "domain": _domain(workspace, raw, types), "time": moment.expression}
    selected = ", ".join(f"{sql} AS {quote_identifier(name)}" for name, sql in (expressions | values).items())
    workspace.run(f'CREATE TABLE staged AS SELECT "p5_row", {moment.row} AS "tie", {selected} FROM raw')
    rejected, n_rejected = _rejected(workspace, raw, types, values)
    lines = _rejected_lines(workspace, raw)
    workspace.run("DROP TABLE raw")
    broken = Dropped(Message("lines that are no rows of the table"), len(lines))
    dropped = (broken, *left_out, *_drop_incomplete(workspace, raw, values, n_rejected))
    notes = (*raw.notes, *notes, *told, *moment.notes, *_implausible(workspace, moment.is_clock))
    rejected = (*lines[:MAX_REJECTED], *rejected)
    return Staged(n_read + len(lines), dropped, moment.is_clock, staged_fields, DOMAIN in types, notes, rejected)


def _load(workspace: Workspace, raw: RawData, fields: Sequence[str]) -> tuple[str, ...]:
    """Make the table `raw` with a row number in the order of the source; returns notes."""
    if isinstance(raw.interactions, pd.DataFrame):
        _refuse_twice(raw)
        refuse_mixed_ids(raw)
    try:
        query = _source(workspace, raw)
        types = {name: kind for name, kind, *_ in workspace.rows(f"DESCRIBE SELECT * FROM ({query})")}
        used, unused = _used_columns(raw, [*types], fields)
        where = parse_condition(raw.where) if raw.where else None
        if where and where.names_time(raw.renamed):
            where.require_columns(types, raw.renamed, raw.source)
            read = [raw.renamed.get(name, name) for name in where.columns]
            used += [name for name in types if name in read and name not in used]
            where = None
        condition = f", {where.of(types, raw.renamed, raw.source)} AS p5_kept" if where else ""
        selected = ", ".join(quote_identifier(name) for name in used)
        workspace.run(
            f'CREATE TABLE raw AS SELECT row_number() OVER () AS "p5_row", {selected}{condition} FROM ({query})'
        )
        if raw.explode:
            _explode(workspace, raw)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DataError(f"{raw.source} cannot be read: {_first_line(error)}.") from None
    note = f"columns that are not used: {', '.join(unused)}; keep them with prepare.fields" if unused else ""
    return (note,) if note else ()


def _source(workspace: Workspace, raw: RawData) -> str:
    if not isinstance(raw.interactions, pd.DataFrame):
        return raw.interactions.query
    frame = raw.interactions
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):  # which DuckDB rounds to microseconds
            frame = frame.assign(**{name: frame[name].dt.tz_convert("UTC").dt.tz_localize(None)})
    workspace.connection.register("source", frame)
    return "SELECT * FROM source"


def _separator(workspace: Workspace, text: str) -> str:
    """The regular expression between the elements of all lists of a column; elements may hold spaces and commas."""
    marks = {"[|]": "|", ";": ";", "\\t": "\t", ",": ","}
    occurs = workspace.row(
        f"SELECT {', '.join(f'bool_or(contains({text}, {quote_text(mark)}))' for mark in marks.values())} FROM raw"
    )
    return next((pattern for pattern, does in zip(marks, occurs, strict=True) if does), " +")


def _explode(workspace: Workspace, raw: RawData) -> None:
    """Give each element of a list of items a row of its own, in order."""
    kind = next(kind for name, kind, *_ in workspace.rows("DESCRIBE raw") if name == ITEM)
    written = f'CAST("{ITEM}" AS VARCHAR)'
    text = cell(f"trim({written}, '[](){{}} ')", raw.null_words)
    split = (
        f"""list_transform(regexp_split_to_array({text}, '{_separator(workspace, text)}'), lambda p: trim(p, '"'' '))"""
    )
    words = ("NULL", "null", "None", *(raw.null_words or NULL_WORDS))
    quoted = f"TRY_CAST(CASE WHEN regexp_matches({written}, '^\\s*\\[.*[''\"]') THEN {written} END AS VARCHAR[])"
    parts = f"coalesce({quoted}, {split})"
    items = f'"{ITEM}"' if kind.endswith("[]") else parts
    element = f'row_number() OVER (ORDER BY "p5_row", p5_place) AS "p5_row", p5_part AS "{ITEM}"'
    unnested = f"SELECT *, unnest({items}) AS p5_part, unnest(range(len({items}))) AS p5_place FROM raw"
    workspace.run(
        f'CREATE TABLE exploded AS SELECT * EXCLUDE ("p5_row", "{ITEM}", p5_part, p5_place), {element} '
        f"FROM ({unnested})"
    )
    workspace.run("DROP TABLE raw")
    element = cell(f'CAST("{ITEM}" AS VARCHAR)', words)
    fits = workspace.row(f"SELECT bool_and({is_integer(element)}) FROM exploded WHERE {element} IS NOT NULL")[0]
    typed = f'CAST({element} AS {"BIGINT" if fits else "VARCHAR"}) AS "{ITEM}"'
    workspace.run(f"CREATE TABLE raw AS SELECT * REPLACE ({typed}) FROM exploded")
    workspace.run("DROP TABLE exploded")


def _drop_headers(workspace: Workspace, raw: RawData) -> tuple[Dropped, ...]:
    """Leave out rows that repeat the header, as files have that were put together."""
    if not isinstance(raw.interactions, Scan) or not raw.interactions.untyped:
        return ()
    repeats = " AND ".join(
        f"trim(CAST({quote_identifier(name)} AS VARCHAR)) = {quote_text(raw.column(name))}" for name in (USER, ITEM)
    )
    (n,) = workspace.row(f"SELECT count(*) FROM raw WHERE {repeats}")
    if n:
        workspace.run(f"DELETE FROM raw WHERE {repeats}")
    return (Dropped(Message("header lines among the rows"), n),) if n else ()


def _filter(workspace: Workspace, raw: RawData) -> tuple[Dropped, ...]:
    """Leave out the rows that `where` does not keep."""
    if raw.where is None or parse_condition(raw.where).names_time(raw.renamed):
        return ()
    dropped = _drop_others(workspace, raw, "p5_kept")
    workspace.run("ALTER TABLE raw DROP COLUMN p5_kept")
    return dropped


def _filter_by_time(
    workspace: Workspace, raw: RawData, types: Mapping[str, str], moment: Moment
) -> tuple[Dropped, ...]:
    """Leave out the rows that a condition on the time does not keep."""
    where = parse_condition(raw.where) if raw.where else None
    if where is None or not where.names_time(raw.renamed):
        return ()

    def microseconds(text: str) -> str:
        if text == Operand(quote_identifier(TIMESTAMP)).text:
            return moment.expression
        readings = [f"TRY_CAST({text} AS TIMESTAMPTZ)"]
        readings = [moment.of_text(text), *readings] if moment.of_text else readings
        time = f"epoch_us(coalesce({', '.join(readings)}))"
        if text.startswith("'") and workspace.row(f"SELECT {time}")[0] is None:
            raise DataError(f"where = {raw.where!r}: {text} is no time that can be read. Write it as '2024-05-17'.")
        return time

    return _drop_others(
        workspace, raw, where.of(types, raw.renamed, raw.source, microseconds if moment.is_clock else None)
    )


def _drop_others(workspace: Workspace, raw: RawData, condition: str) -> tuple[Dropped, ...]:
    before = workspace.count("raw")
    workspace.run(f"DELETE FROM raw WHERE ({condition}) IS NOT TRUE")
    n_left = before - workspace.count("raw")
    if n_left == before:
        raise DataError(f"{raw.source}: no row satisfies where = {raw.where!r}. Correct the condition.")
    return (Dropped(Message("where {condition} does not hold", condition=str(raw.where)), n_left),)


def _used_columns(raw: RawData, names: Sequence[str], fields: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that are read and those that are left; raises DataError for one that is missing."""
    missing = [column for column in (USER, ITEM, *fields) if column not in names]
    if raw.event_weights and EVENT not in names:
        missing.append(EVENT)
    if missing:
        if missing[0] in raw.renamed:
            raise DataError(
                f"{raw.source}: the column '{missing[0]}' cannot be kept as a field: it is taken already, or its name "
                "has a meaning of its own. Take it by its option, or rename it."
            )
        near = did_you_mean(missing[0], names)
        raise DataError(f"{raw.source} has no column '{missing[0]}'.{near} Its columns: {', '.join(names)}.")
    used = [name for name in names if name in (*KNOWN_COLUMNS, *fields)]
    asked = parse_condition(raw.where).columns if raw.where else ()
    aside = raw.renamed.values()
    return used, [name for name in names if name not in used and name not in asked and name not in aside]


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _refuse_twice(raw: RawData) -> None:
    assert isinstance(raw.interactions, pd.DataFrame)
    twice = raw.interactions.columns[raw.interactions.columns.duplicated()].tolist()
    if twice:
        raise DataError(f"{raw.source} has two columns '{twice[0]}'. Rename or remove one of them.")


def _domain(workspace: Workspace, raw: RawData, types: dict[str, str]) -> str:
    """The SQL expression of the domain; an item without one could not be told from those of others."""
    if DOMAIN not in types:
        return "'default'"
    name = f'CAST("{DOMAIN}" AS VARCHAR)'
    missing = workspace.rows(f"SELECT \"p5_row\" FROM raw WHERE coalesce({name}, '') = '' ORDER BY \"p5_row\" LIMIT 1")
    if missing:
        raise DataError(
            f"{raw.place(missing[0][0])}, column '{DOMAIN}': the domain is missing. Name one in every row, or leave "
            "the column out."
        )
    return name


def _rejected(
    workspace: Workspace, raw: RawData, types: Mapping[str, str], values: Mapping[str, str]
) -> tuple[tuple[Rejected, ...], dict[str, int]]:
    """Cells that were present and could not be read, and their number by column."""
    if raw.on_error == "refuse":
        return (), {}
    staged = {
        USER: "user",
        ITEM: "item",
        TIMESTAMP: "time",
        **{name: name for name in (RATING, WEIGHT) if name in values},
    }
    cells, counts = [], {}
    for column, read in staged.items():
        if column not in types or (column == WEIGHT and raw.event_weights):
            continue
        text = cell(f"CAST(r.{quote_identifier(column)} AS VARCHAR)", raw.null_words)
        joined = f'FROM staged s JOIN raw r ON s."p5_row" = r."p5_row" WHERE s."{read}" IS NULL AND {text} IS NOT NULL'
        counts[column] = int(workspace.row(f"SELECT count(*) {joined}")[0])
        cells += [
            (row, column, value)
            for row, value in workspace.rows(
                f'SELECT s."p5_row", {text} {joined} ORDER BY s."p5_row" LIMIT {MAX_REJECTED}'
            )
        ]
    cells = sorted(cells)[:MAX_REJECTED]
    places = raw.places([row for row, *_ in cells])
    return tuple(
        Rejected(place, column, value) for place, (_, column, value) in zip(places, cells, strict=True)
    ), counts


def _rejected_lines(workspace: Workspace, raw: RawData) -> list[Rejected]:
    """Lines that the loader left out, and those of text files with too many or too few cells or an open quotation."""
    left_out = [Rejected(line.place, line.fault, line.text) for line in raw.faulty]
    tables = {name for (name,) in workspace.rows("SELECT table_name FROM duckdb_tables()")}
    if raw.on_error == "refuse" or "reject_errors" not in tables:
        return left_out
    rows = workspace.rows(
        "SELECT parse_filename(s.file_path) AS file, e.line, any_value(e.csv_line), any_value(e.error_message) "
        "FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) GROUP BY ALL ORDER BY ALL"
    )
    for name, line, text, _ in rows:
        n_lost = str(text).strip().count("\n")
        if n_lost:
            raise DataError(
                f"{name}, line {line}: a quotation mark is not closed, and {n_lost:,} further lines would be lost with "
                "it. Repair the line, or set quote = '' to take the mark as text."
            )
    return left_out + [Rejected(f"{name}, line {line}", str(fault), str(text)) for name, line, text, fault in rows]


def _drop_incomplete(
    workspace: Workspace, raw: RawData, values: Mapping[str, str], rejected: Mapping[str, int]
) -> list[Dropped]:
    """Make `events` of the rows with both ids, a time and, where there are such, a rating and a weight."""
    types = {name: kind for name, kind, *_ in workspace.rows("DESCRIBE staged")}
    no_id = " OR ".join(is_no_id(column, types[column]) for column in (USER, ITEM))
    no = {RATING: "no rating", WEIGHT: "a kind of event without a weight" if raw.event_weights else "no weight"}
    reasons = {
        Message("no user or item id (empty text, text with a NUL and {padding} are no ids)", padding=PAD_INT): no_id,
        Message("no timestamp"): '"time" IS NULL',
        **{Message(no[name]): f'"{name}" IS NULL' for name in (RATING, WEIGHT) if name in values},
    }
    cases = " ".join(f"WHEN {condition} THEN {nth}" for nth, condition in enumerate(reasons.values()))
    counts = dict(workspace.rows(f"SELECT CASE {cases} END AS reason, count(*) FROM staged GROUP BY reason"))
    counts.pop(None, None)
    if counts:
        workspace.run(f"CREATE TABLE kept AS SELECT * FROM staged WHERE (CASE {cases} END) IS NULL")
        workspace.run("DROP TABLE staged")
    workspace.run(f"ALTER TABLE {'kept' if counts else 'staged'} RENAME TO events")
    workspace.run('ALTER TABLE events DROP COLUMN "p5_row"')
    workspace.run('ALTER TABLE events RENAME COLUMN "tie" TO "p5_row"')
    unreadable = [Dropped(Message("unreadable {column}", column=name), n) for name, n in rejected.items() if n]
    columns = ((USER, ITEM), (TIMESTAMP,), (RATING,), (WEIGHT,))
    n_unreadable = [sum(rejected.get(name, 0) for name in names) for names in columns]
    missing = [
        Dropped(reason, max(0, int(counts.get(nth, 0)) - n))
        for nth, (reason, n) in enumerate(zip(reasons, n_unreadable, strict=False))
    ]
    return [*missing, *unreadable]


def _implausible(workspace: Workspace, is_clock: bool) -> tuple[str, ...]:
    """A note when the first or last event is at a time at which there was no such event."""
    if not is_clock:
        return ()
    first, last = workspace.row('SELECT min("time"), max("time") FROM events')
    if first is None:  # every row was left out, which cleaning says
        return ()
    day = [str(pd.Timestamp(time, unit="us").date()) if abs(time) < 9e18 else str(time) for time in (first, last)]
    too_late = (datetime.now(UTC) + timedelta(days=366)).timestamp() * 1e6
    too_early = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC).timestamp() * 1e6
    notes = []
    if last > too_late:
        late = (
            "some times lie more than a year in the future, up to {day}; set time_unit or time_format if that is wrong"
        )
        notes.append(Message(late, day=day[1]))
    if first < too_early:
        early = "some times lie before {year}, the first on {day}; set time_unit or time_format if that is wrong"
        notes.append(Message(early, year=EARLIEST_YEAR, day=day[0]))
    return tuple(notes)
