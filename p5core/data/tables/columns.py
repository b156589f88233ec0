"""Mapping of columns: named by the user, or guessed from common names."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
from pydantic import Field, model_validator

from p5core.config.base import Config
from p5core.data.columns import DOMAIN, ITEM, RATING, TIMESTAMP, TITLE, USER
from p5core.data.raw import TimeUnit
from p5core.errors import DataError, did_you_mean
from p5core.system.messages import Message

__all__ = [
    "LOOKED_AT",
    "ColumnOptions",
    "Mapping",
    "find_id",
    "find_title",
    "further_columns",
    "guess_column",
    "guess_columns",
    "is_known_name",
    "likely_times",
    "map_columns",
    "pick_columns",
    "unused_times",
]

KNOWN = {
    USER: (
        "user", "user_id", "userid", "uid", "users", "username", "customer", "customer_id", "customerid", "visitor",
        "visitorid", "visitor_id", "reviewerid", "reviewer_id", "client_id", "clientid", "member_id", "account_id",
        "session", "session_id", "sessionid",
    ),
    ITEM: (
        "item", "item_id", "itemid", "iid", "items", "movie", "movie_id", "movieid", "product", "product_id",
        "productid", "parent_asin", "asin", "sku", "stockcode", "stock_code", "isbn", "book_id", "bookid", "artist_id",
        "artistid", "track_id", "song_id", "article_id", "news_id", "business_id", "anime_id", "game_id",
    ),
    TIMESTAMP: (
        "timestamp", "time", "date", "datetime", "ts", "unixreviewtime", "invoicedate", "invoice_date", "event_time",
        "event_timestamp", "created_at", "createdat", "review_time", "review_date", "order_date", "order_time",
        "purchase_date", "transaction_date", "t_dat", "date_added", "eventdate", "event_date", "visit_date",
        "watched_at", "played_at", "listened_at", "time_stamp", "unix_timestamp", "ts_ms", "showtime", "utc", "epoch",
        "t",
    ),
    RATING: ("rating", "ratings", "score", "stars", "overall", "book_rating", "user_rating"),
    TITLE: (
        "title", "name", "movie_title", "book_title", "item_name", "product_name", "product_title", "artist_name",
        "track_name", "description",
    ),
}  # fmt: skip
"""Names in the order in which they are preferred; compared in lower case, without a type such as ":token"."""


class ColumnOptions(Config):
    """Options for the mapping of columns; those left open are guessed from common names and reported."""

    user: str | None = None
    """Column of user ids; default: guessed."""

    item: str | None = None
    """Column of item ids; default: guessed."""

    timestamp: str | None = None
    """Column of timestamps; default: guessed; "": none."""

    rating: str | None = None
    """Column of ratings; default: guessed; "": none."""

    domain_column: str | None = None
    """Column with the domain of each item."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items; excludes domain_column."""

    time_unit: TimeUnit | None = None
    """Unit of numeric timestamps: s, ms, us, ns, or step (order only); default: guessed."""

    time_format: str | None = Field(None, min_length=1)
    """Format of textual timestamps, such as %d/%m/%Y %H:%M; default: detected."""

    day_first: bool | None = None
    """True if 01/02/2024 means 1 February; default: detected from the column."""

    @property
    def times(self) -> dict[str, Any]:
        """The options of times, for `RawData`."""
        return {"time_unit": self.time_unit, "time_format": self.time_format, "day_first": self.day_first}

    @model_validator(mode="after")
    def _one_domain(self) -> Self:
        if self.domain and self.domain_column:
            raise ValueError("domain and domain_column exclude each other; remove one")
        return self

    @property
    def named(self) -> list[str]:
        """The columns that were named."""
        return [name for name in (self.user, self.item, self.timestamp, self.rating, self.domain_column) if name]


LOOKED_AT = 1_000
"""Rows by which a column is found to look like a time."""

NEARLY_ALL = 0.9
RECENT_SECONDS = (800_000_000, 2_200_000_000)
"""1995 to 2039."""

DATE = (
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}"
    r"|([A-Za-z]{3,9},? )*[A-Za-z]{3,9} \d{1,2},? .*)([ T].*)?"
)


@dataclass(frozen=True)
class Mapping:
    """Canonical name → column of the source."""

    columns: dict[str, str]
    notes: tuple[str, ...] = ()


def is_known_name(cell: str) -> bool:
    """True if a column of this name is recognised."""
    return any(_plain(cell) in names for names in KNOWN.values())


def map_columns(options: ColumnOptions, names: Sequence[str], source: str) -> Mapping:
    """Find the columns; raises DataError when user or item, or one that was named, is not there."""
    asked = {USER: options.user, ITEM: options.item, TIMESTAMP: options.timestamp, RATING: options.rating}
    mapping: dict[str, str] = {}
    guessed = []
    for canonical, named in asked.items():
        if named == "" and canonical in (TIMESTAMP, RATING):
            continue
        taken = [*mapping.values(), *options.named]
        column = _named(named, names, source, canonical) if named else guess_column(canonical, names, taken)
        if column is None and canonical in (USER, ITEM):
            raise DataError(_nothing_found(canonical, names, source))
        if column is not None:
            mapping[canonical] = column
            guessed += [] if named else [f"{canonical} = '{column}'"]
    if options.domain_column:
        mapping[DOMAIN] = _named(options.domain_column, names, source, "domain_column")
    return Mapping(mapping, (Message("guessed columns: {columns}", columns=", ".join(guessed)),) if guessed else ())


def further_columns(mapping: Mapping, names: Sequence[str]) -> list[str]:
    """The columns that are not mapped and whose names are not canonical ones."""
    taken = {*mapping.columns.values(), USER, ITEM, TIMESTAMP, RATING, DOMAIN}
    return [name for name in names if name not in taken]


def guess_columns(options: ColumnOptions, names: Sequence[str]) -> dict[str, str]:
    """Canonical name → column, as far as it can be guessed; raises nothing."""
    named = {USER: options.user, ITEM: options.item, TIMESTAMP: options.timestamp, RATING: options.rating}
    mapping = {canonical: column for canonical, column in named.items() if column is not None and column in names}
    for canonical in [name for name, column in named.items() if column is None]:
        column = guess_column(canonical, names, [*mapping.values(), *options.named])
        if column is not None:
            mapping[canonical] = column
    return mapping


def pick_columns(options: ColumnOptions, frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The events of a DataFrame under our names, and what was guessed."""
    names = [str(name) for name in frame.columns]
    mapping = map_columns(options, names, source)
    for column in mapping.columns.values():
        if names.count(column) > 1:
            raise DataError(f"{source} has {names.count(column)} columns '{column}'. Give each a name of its own.")
    kept = {**mapping.columns, **{name: name for name in further_columns(mapping, names) if names.count(name) == 1}}
    picked = pd.DataFrame({canonical: frame.iloc[:, names.index(column)] for canonical, column in kept.items()})
    notes = (*mapping.notes, *unused_times(options, mapping, frame.set_axis(names, axis=1).head(LOOKED_AT)))
    return picked.assign(**{DOMAIN: options.domain}) if options.domain else picked, notes


def unused_times(options: ColumnOptions, mapping: Mapping, head: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns that look like times, by their first rows, where no column is taken as the time."""
    if TIMESTAMP in mapping.columns or options.timestamp is not None:
        return ()
    likely = likely_times(head, set(mapping.columns.values()))
    unused = "'{name}' looks like a time and is not used; take it with timestamp = '{name}'"
    return tuple(Message(unused, name=name) for name in likely)


def likely_times(head: pd.DataFrame, used: Container[str]) -> list[str]:
    """Columns of the first rows that look like times and are not used."""
    return [str(name) for place, name in enumerate(head.columns) if name not in used and _is_time(head.iloc[:, place])]


def _is_time(values: pd.Series[Any]) -> bool:
    """True if nearly all values are dates, or recent times in seconds or milliseconds."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return True
    present = values.dropna()
    if present.empty or pd.api.types.is_bool_dtype(present.dtype):
        return False
    numbers = pd.to_numeric(present, errors="coerce")
    recent = sum(numbers.between(low * unit, high * unit) for unit in (1, 1_000) for low, high in [RECENT_SECONDS])
    dates = present.astype("str").str.strip().str.fullmatch(DATE)
    return bool((dates | (recent > 0)).mean() > NEARLY_ALL)


def _named(name: str, names: Sequence[str], source: str, option: str) -> str:
    if name not in names:
        raise DataError(
            f"{source} has no column '{name}' ({option}).{did_you_mean(name, names)} Its columns: {', '.join(names)}."
        )
    return name


def guess_column(canonical: str, names: Sequence[str], taken: Container[str] = ()) -> str | None:
    """The column that is called as such columns commonly are; None when there is none."""
    plain = {_plain(name): name for name in reversed(names) if name not in taken}
    return next((plain[common] for common in KNOWN[canonical] if common in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.partition(":")[0].strip().lower())


def _nothing_found(canonical: str, names: Sequence[str], source: str) -> str:
    if len(names) == 1:
        likely = next((repr(mark) for mark in ("\t", ";", "|", "::", ",", " ") if mark in names[0]), None)
        advice = f"separator = {likely}" if likely else "the separator"
        return (
            f"{source} has one column only, '{names[0]}'. If this is a text file, its separator is wrong: set {advice}."
        )
    remedy = f"Name it by an option; the columns are: {', '.join(names)}."
    if names[0] == "column0":
        return f"{source} has no header line, so no column looks like the {canonical}. {remedy}"
    return f"{source}: no column looks like the {canonical}. {remedy} If a file has no header line, set header = false."


def find_id(named: str | None, canonical: str, names: Sequence[str], source: str) -> str:
    """The id column of an items or users table; raises DataError when there is none."""
    if named:
        return _named(named, names, source, canonical)
    guessed = guess_column(canonical, names, ())
    if guessed is None:
        raise DataError(_nothing_found(canonical, names, source))
    return guessed


def find_title(named: str | None, names: Sequence[str], source: str) -> str | None:
    """The title column of an items table, if there is one."""
    if named == "":
        return None
    return _named(named, names, source, TITLE) if named else guess_column(TITLE, names, ())
