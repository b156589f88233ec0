"""Values of events beside user, item and time: ratings, weights, and columns that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from p5core.data.columns import DOMAIN, EVENT, ITEM, RATING, TIMESTAMP, USER, WEIGHT
from p5core.data.ingest.database import Workspace
from p5core.data.raw import RawData
from p5core.data.tables.sql import (
    cell,
    decimal_comma,
    percentage,
    plain_code,
    plain_code_sql,
    quote_identifier,
    quote_text,
)
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["StagedField", "field_expressions"]

EXACT = 2**24
"""Integer up to which a 32-bit float holds all."""

FEW = 1_000
"""Different texts of a column up to which they are numbered while the events are prepared."""

NUMBERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "FLOAT",
    "DOUBLE", "BOOLEAN",
}  # fmt: skip


@dataclass(frozen=True)
class StagedField:
    """One value an event beside user, item and time."""

    name: str
    column: str
    """of the table `events`"""
    is_number: bool
    kinds: tuple[str, ...] | None = None
    """its different texts, in the order of the ENUM that holds them; None for numbers and for many texts"""


def field_expressions(
    workspace: Workspace, raw: RawData, types: dict[str, str]
) -> tuple[tuple[StagedField, ...], dict[str, str], tuple[str, ...]]:
    """The fields of the events, the SQL of each by its column, and notes."""
    fields: list[StagedField] = []
    expressions: dict[str, str] = {}
    notes: list[str] = []
    names = [name for name in types if name not in (USER, ITEM, TIMESTAMP, DOMAIN)]
    for place, name in enumerate(names):
        text = cell(f"CAST({quote_identifier(name)} AS VARCHAR)", raw.null_words)
        if name == WEIGHT and raw.event_weights:
            continue
        if name in (RATING, WEIGHT):
            expressions[name], told = _amount(workspace, raw, name, types[name], text)
            fields.append(StagedField(name, name, True))
            notes += told
            continue
        is_number = _is_number(workspace, types[name], text)
        column = f"field_{place}"
        kinds = () if is_number else _few_values(workspace, text)
        expressions[column] = f"CAST({text} AS FLOAT)" if is_number else text
        if kinds:  # a byte or two an event, from here to the end
            workspace.run(f"CREATE TYPE {column}_kinds AS ENUM ({', '.join(map(quote_text, kinds))})")
            expressions[column] = f"CAST({text} AS {column}_kinds)"
        fields.append(StagedField(name, column, is_number, kinds or None))
        if name == EVENT and raw.event_weights:
            expressions[WEIGHT] = _weight(raw.event_weights, text, kinds)
            fields.append(StagedField(WEIGHT, WEIGHT, True))
    return tuple(fields), expressions, tuple(notes)


def _few_values(workspace: Workspace, text: str) -> tuple[str, ...]:
    """The different texts of a column, if there are at most FEW; none otherwise."""
    values = workspace.rows(f"SELECT DISTINCT {text} AS value FROM raw WHERE {text} IS NOT NULL LIMIT {FEW + 1}")
    return tuple(value for (value,) in values) if len(values) <= FEW else ()


def _weight(event_weights: Mapping[str, float], text: str, kinds: Sequence[str]) -> str:
    """SQL of the weight of a kind of event, whose different texts are `kinds` where they are few."""
    compared, weights = plain_code_sql(text), {plain_code(kind): weight for kind, weight in event_weights.items()}
    of_text = {kind: weights[plain_code(kind)] for kind in kinds if plain_code(kind) in weights}
    if of_text:  # the texts as they are, in a third of the time
        compared, weights = text, of_text
    cases = " ".join(f"WHEN {quote_text(kind)} THEN {weight!r}" for kind, weight in weights.items())
    return f"CAST(CASE {compared} {cases} END AS FLOAT)"


def _is_number(workspace: Workspace, kind: str, text: str) -> bool:
    """True if a column holds numbers, in a numeric or a text type, and no codes such as 007 or 123456789."""
    if kind != "VARCHAR" and kind not in NUMBERS and not kind.startswith("DECIMAL"):
        return False
    number = f"TRY_CAST({text} AS DOUBLE)"
    is_code = f"regexp_full_match({text}, '[-+]?0[0-9]+') OR ({number} = floor({number}) AND abs({number}) > {EXACT})"
    n_cells, n_numbers, n_codes = workspace.row(f"SELECT count({text}), count({number}), count_if({is_code}) FROM raw")
    return bool(n_cells == n_numbers and not n_codes and (n_cells or kind != "VARCHAR"))


def _forms(text: str) -> dict[str, str]:
    """Ways to write numbers → SQL that reads them."""
    words = f"CASE lower({text}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 WHEN 'yes' THEN 1 WHEN 'no' THEN 0 END"
    return {
        "": f"TRY_CAST({text} AS FLOAT)",
        "numbers with a decimal comma": f"CAST({decimal_comma(text)} AS FLOAT)",
        "percentages, 100% as 1": f"CAST({percentage(text)} AS FLOAT)",
        "true as 1, false as 0": f"CAST({words} AS FLOAT)",
    }


def _amount(workspace: Workspace, raw: RawData, name: str, kind: str, text: str) -> tuple[str, list[str]]:
    """SQL of ratings or weights: one way to read the whole column; missing where the cell is."""
    forms = _forms(text) if kind == "VARCHAR" else {"": f"TRY_CAST({quote_identifier(name)} AS FLOAT)"}
    is_present = f"{text} IS NOT NULL"
    finite = {words: f"CASE WHEN isfinite({sql}) THEN {sql} END" for words, sql in forms.items()}
    counted = ", ".join(f"count({sql})" for sql in finite.values())
    counts = workspace.row(f"SELECT count_if({is_present}), {counted} FROM raw")
    n_known, n_read = counts[0], dict(zip(finite, counts[1:], strict=True))
    words = max(finite, key=lambda form: n_read[form])
    if n_read[words] < n_known and raw.on_error == "refuse":
        row, value = workspace.rows(
            f'SELECT "p5_row", {text} FROM raw WHERE {is_present} AND {finite[words]} IS NULL ORDER BY "p5_row" LIMIT 1'
        )[0]
        raise DataError(
            f"{raw.place(row)}, column '{raw.column(name)}': the {name} {value!r} is no finite number. Correct it, "
            f"leave such rows out with on_error = 'drop', or do without: {name} = ''."
        )
    note = Message("{column}s are read as {form}", column=name, form=Message(words)) if words else None
    return finite[words], [note] if note else []
