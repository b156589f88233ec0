"""Conditions on rows, such as `event = "purchase" and quantity > 0`.

    condition  = any { "or" any }
    any        = term { "and" term }
    term       = column comparison value | column "in" "(" value { "," value } ")" | column "is" ["not"] "null"
               | "(" condition ")" | "not" term
    comparison = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="

A column is a word, or any text in backticks; a value is a number, a word, a text in quotation marks, `true` or `false`.
The time column is compared as times, written as in the log or in ISO 8601.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from p5core.data.columns import TIMESTAMP
from p5core.data.tables.sql import cell, quote_identifier, quote_text
from p5core.errors import DataError, did_you_mean

__all__ = ["Columns", "Comparison", "Condition", "Operand", "parse_condition"]

TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>`[^`]+`)
    | (?P<operator><=|>=|<>|!=|==|=|<|>|\(|\)|,|\[|\])
    | (?P<word>[^\W\d][\w.:/-]*)
    )""",
    re.VERBOSE,
)
DATE = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b")
"""Beginning of a date whose order as a text is not that of time."""

KEYWORDS = {"and", "or", "not", "in", "is", "null", "true", "false"}
COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
EXACT_FLOATS = 2**53
"""Largest integer up to which all are exact as a float."""

EXAMPLE = "Write one such as event = 'purchase' and quantity > 0."


@dataclass(frozen=True)
class Operand:
    """A column in a condition."""

    sql: str
    """the column"""
    times: Callable[[str], str] | None = None
    """SQL of a time, given that of a text, if the column is the time; the column's own is that of its text"""

    @property
    def text(self) -> str:
        """SQL of the column as a text, NULL where it is missing."""
        return cell(f"CAST({self.sql} AS VARCHAR)")

    @property
    def number(self) -> str:
        """SQL of the column as a number, with a decimal point or comma."""
        comma = (
            f"CASE WHEN regexp_full_match({self.text}, '[-+]?[0-9]+,[0-9]+') THEN replace({self.text}, ',', '.') END"
        )
        return f"coalesce(TRY_CAST({self.text} AS DOUBLE), TRY_CAST({comma} AS DOUBLE))"


Columns = Callable[[str], Operand]
"""The operand of a column, by its name."""

Comparison = Callable[[str, Operand], str]
"""SQL of a comparison with a value, by the operator and the column."""


@dataclass(frozen=True)
class Condition:
    """A condition that was parsed; texts that are no column, comparison or value never reach the database."""

    text: str
    sql: Callable[[Columns], str]

    columns: tuple[str, ...]
    """names of the columns that it reads"""

    def of(
        self,
        types: Mapping[str, str],
        renamed: Mapping[str, str],
        source: str,
        times: Callable[[str], str] | None = None,
    ) -> str:
        """SQL over columns of these types; `renamed` columns stand under another name.

        `times` gives the SQL of a time from that of a text, for comparisons with the time column. Raises DataError for
        a column that is not there.
        """

        self.require_columns(types, renamed, source)

        def column(name: str) -> Operand:
            actual = renamed.get(name, name)
            return Operand(quote_identifier(actual), times if actual == TIMESTAMP else None)

        return self.sql(column)

    def require_columns(self, types: Mapping[str, str], renamed: Mapping[str, str], source: str) -> None:
        """Raise DataError for a column that is not among these types."""
        for name in self.columns:
            if renamed.get(name, name) not in types:
                names = [*(name for name in types if name not in renamed.values()), *renamed]
                raise DataError(
                    f"{source} has no column '{name}', which where = {self.text!r} names."
                    f"{did_you_mean(name, names)} Its columns: {', '.join(names)}."
                )

    def names_time(self, renamed: Mapping[str, str]) -> bool:
        """True if it compares the time column, which must have been read then."""
        return any(renamed.get(name, name) == TIMESTAMP for name in self.columns)


def parse_condition(text: str) -> Condition:
    """Parse a condition; raises ValueError that names the place of the fault."""
    return _Parser(text).condition()


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, place) of each token."""
    place = 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            rest = text[place:].lstrip()
            raise ValueError(f"the condition {text!r} cannot be read from {rest[:20]!r} on. {EXAMPLE}")
        kind = str(match.lastgroup)
        token = match.group(kind)
        yield ("keyword" if kind == "word" and token.lower() in KEYWORDS else kind), token, match.start(kind)
        place = match.end()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*_tokens(text), ("end", "", len(text))]
        self.at = 0
        self.columns: list[str] = []

    def condition(self) -> Condition:
        sql = self._either()
        if self._kind != "end":
            raise self._fault("'and', 'or' or the end")
        return Condition(self.text, sql, tuple(dict.fromkeys(self.columns)))

    @property
    def _kind(self) -> str:
        return self.tokens[self.at][0]

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _take(self, *words: str) -> bool:
        """Go on if the next token is one of these words."""
        is_next = self._kind in ("keyword", "operator") and self.tokens[self.at][1].lower() in words
        self.at += is_next
        return is_next

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._fault(f"'{word}'")

    def _fault(self, wanted: str) -> ValueError:
        token = self.tokens[self.at][1] or "the end"
        return ValueError(f"the condition {self.text!r} has {token!r} where {wanted} is expected. {EXAMPLE}")

    def _either(self) -> Callable[[Columns], str]:
        terms = [self._both()]
        while self._take("or"):
            terms.append(self._both())
        return lambda column: "(" + " OR ".join(term(column) for term in terms) + ")"

    def _both(self) -> Callable[[Columns], str]:
        terms = [self._term()]
        while self._take("and"):
            terms.append(self._term())
        return lambda column: "(" + " AND ".join(term(column) for term in terms) + ")"

    def _term(self) -> Callable[[Columns], str]:
        if self._take("not"):
            inner = self._term()
            return lambda column: f"(NOT {inner(column)})"
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        if self._kind not in ("word", "quoted"):
            raise self._fault("a column")
        name = self._next().strip("`")
        self.columns.append(name)
        return self._comparison(name)

    def _comparison(self, name: str) -> Callable[[Columns], str]:
        if self._take("is"):
            is_not = self._take("not")
            self._expect("null")
            return lambda column: f"({column(name).text} IS {'NOT ' if is_not else ''}NULL)"
        is_not = self._take("not")
        if is_not or self.tokens[self.at][1].lower() == "in":
            self._expect("in")
            values = self._values()
            joined = " OR ".join
            return lambda column: (
                f"({'NOT ' if is_not else ''}({joined(value('=', column(name)) for value in values)}))"
            )
        if self.tokens[self.at][1] not in COMPARISONS:
            raise self._fault("a comparison such as = or >=")
        operator = COMPARISONS[self._next()]
        value = self._value()
        return lambda column: value(operator, column(name))

    def _values(self) -> list[Comparison]:
        closing = ")" if self._take("(") else "]"
        if closing == "]":
            self._expect("[")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(closing)
        return values

    def _value(self) -> Comparison:
        """SQL of a comparison with a value, given the operator and the column."""
        if self._kind == "number":
            return _with_number(self._next())
        if self._kind in ("text", "word"):
            is_quoted = self._kind == "text"
            word = self._next()
            return _with_text(_unquoted(word) if is_quoted else word)
        if self._kind == "keyword" and self._take("true", "false"):
            truth = self.tokens[self.at - 1][1].upper()
            return lambda operator, column: (
                f"(coalesce(TRY_CAST({column.text} AS BOOLEAN), CAST({column.number} AS BOOLEAN)) {operator} {truth})"
            )
        raise self._fault("a number, a text, true or false")


def _unquoted(token: str) -> str:
    """The text of a token in quotation marks, which stand in it doubled or behind a backslash."""
    mark = token[0]
    return re.sub(r"\\(.)", r"\1", token[1:-1].replace(mark + mark, mark))


def _with_number(number: str) -> Comparison:
    is_exact = number.lstrip("+-").isdecimal() and EXACT_FLOATS < abs(int(number)) < 2**127
    if is_exact:
        return lambda operator, column: f"(TRY_CAST({column.text} AS HUGEINT) {operator} {int(number)})"
    if not math.isfinite(float(number)):
        raise ValueError(f"the condition compares with {number}, which is beyond what a number can be.")
    return lambda operator, column: f"({column.number} {operator} {float(number)!r})"


def _with_text(word: str) -> Comparison:
    """Texts are equal or not; in order they are compared as times or numbers where they are such."""
    try:
        number = float(word)
    except ValueError:
        number = None

    def compare(operator: str, column: Operand) -> str:
        if column.times is not None:
            return f"({column.times(column.text)} {operator} {column.times(quote_text(word))})"
        if DATE.match(word) and operator not in ("=", "<>"):
            raise DataError(
                f"where compares {column.sql} with the date {word!r}, but only the column of the time is compared as "
                f"dates are. Take it as the time, timestamp = {column.sql}, or store its dates as 2024-05-17."
            )
        if number is not None and math.isfinite(number) and operator not in ("=", "<>"):
            return f"({column.number} {operator} {number!r})"
        return f"({column.text} {operator} {quote_text(word)})"

    return compare
