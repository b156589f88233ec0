"""Names, texts and cells of tables as SQL for DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "NULL_WORDS",
    "cell",
    "decimal_comma",
    "percentage",
    "plain_code",
    "plain_code_sql",
    "quote_identifier",
    "quote_text",
]

NULL_WORDS = ("NULL", "null", "NA", "N/A", "NaN", "nan", "None", "<NA>", r"\N")
"""Words that stand for a missing value."""


SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""Characters that are left out around a cell: Unicode's spaces, and tabs."""


def quote_identifier(name: str) -> str:
    """A column or table name as SQL: in double quotes, those inside doubled."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text literal as SQL: in single quotes, those inside doubled."""
    return "'" + text.replace("'", "''") + "'"


def cell(text: str, null_words: Sequence[str] | None = None) -> str:
    """SQL of a text without the spaces around it, NULL for an empty one and for a word for missing values."""
    words = ", ".join(quote_text(word) for word in ("", *(NULL_WORDS if null_words is None else null_words)))
    # Looking at both ends takes a twentieth of the time of trimming, and most cells have nothing to trim.
    last = f"({text})[-1]"
    is_trimmed = f"{text} >= '!' AND {text} < chr(127) AND {last} >= '!' AND {last} < chr(127)"
    trimmed = f"CASE WHEN {is_trimmed} THEN {text} ELSE trim({text}, {quote_text(SPACES)}) END"
    return f"CASE WHEN {trimmed} NOT IN ({words}) THEN {trimmed} END"


def plain_code(code: str) -> str:
    """A kind of event as it is compared: 1.0 is 1, as pandas writes it in a column with gaps, and True is true."""
    plain = re.sub(r"^(-?\d+)\.0+$", r"\1", code.strip())
    return plain.lower() if plain.lower() in ("true", "false") else plain


def plain_code_sql(text: str) -> str:
    """SQL of `plain_code`."""
    whole = f"regexp_replace({text}, '^(-?[0-9]+)\\.0+$', '\\1')"
    return f"CASE WHEN lower({text}) IN ('true', 'false') THEN lower({text}) ELSE {whole} END"


def decimal_comma(text: str) -> str:
    """SQL of a number with a decimal comma, NULL for other texts."""
    comma = f"CASE WHEN regexp_full_match({text}, '[-+]?[0-9]+,[0-9]+|[-+]?[0-9]+') THEN replace({text}, ',', '.') END"
    return f"TRY_CAST({comma} AS DOUBLE)"


def percentage(text: str) -> str:
    """SQL of a percentage as a share, NULL for other texts."""
    return f"CASE WHEN ends_with({text}, '%') THEN TRY_CAST(replace(rtrim({text}, '% '), ',', '.') AS DOUBLE) / 100 END"
