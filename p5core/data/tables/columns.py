"""Mapping of columns: named by the user, or guessed from common names."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from p5core.data.columns import DOMAIN, EVENT, ITEM, RATING, TIMESTAMP, TITLE, USER, WEIGHT
from p5core.data.tables.conditions import parse_condition
from p5core.data.tables.options import ColumnOptions
from p5core.errors import DataError, did_you_mean
from p5core.system.messages import Message

__all__ = [
    "CALENDAR",
    "LOOKED_AT",
    "MAX_KINDS",
    "Mapping",
    "find_event_column",
    "find_id",
    "find_title",
    "further_columns",
    "guess_column",
    "guess_columns",
    "is_known_name",
    "likely_times",
    "map_columns",
    "pick_columns",
    "plain_name",
    "unused_columns",
]

KNOWN = {
    USER: (
        "user", "user_id", "userid", "uid", "users", "username", "customer", "customer_id", "customerid", "visitor",
        "visitorid", "visitor_id", "reviewerid", "reviewer_id", "client_id", "clientid", "member_id", "account_id",
        "household_key", "profile_id", "viewer_id", "reviewer", "person_id", "subscriber_id", "device_id", "cookie_id",
        "session", "session_id", "sessionid",
    ),
    ITEM: (
        "item", "item_id", "itemid", "iid", "items", "movie", "movie_id", "movieid", "product", "product_id",
        "productid", "parent_asin", "asin", "sku", "stockcode", "stock_code", "isbn", "book_id", "bookid", "artist_id",
        "artistid", "track_id", "song_id", "article_id", "news_id", "business_id", "anime_id", "game_id", "video_id",
        "photo_id", "poi_id", "venue_id", "place_id", "location_id", "recipe_id", "beer_id", "show_id", "post_id",
        "offer_id", "content_id", "gmap_id", "course_id", "job_id", "listing_id", "hotel_id", "restaurant_id", "joke",
        "area", "page", "artist", "track", "song", "book", "game", "video", "news", "article", "key",
    ),
    TIMESTAMP: (
        "timestamp", "time", "date", "datetime", "ts", "unixreviewtime", "invoicedate", "invoice_date", "event_time",
        "event_timestamp", "created_at", "createdat", "review_time", "review_date", "order_date", "order_time",
        "purchase_date", "transaction_date", "t_dat", "date_added", "eventdate", "event_date", "visit_date",
        "watched_at", "played_at", "listened_at", "time_stamp", "unix_timestamp", "ts_ms", "timestamp_ms", "showtime",
        "utc", "epoch", "t",
    ),
    RATING: ("rating", "ratings", "score", "stars", "overall", "book_rating", "user_rating"),
    TITLE: (
        "title", "name", "movie_title", "book_title", "item_name", "product_name", "product_title", "artist_name",
        "track_name", "description",
    ),
}  # fmt: skip
"""Names in the order in which they are preferred; compared in lower case, without a type such as ":token"."""


LOOKED_AT = 1_000
"""Rows by which a column is found to look like a time."""

CALENDAR = ("year", "month", "day", "hour", "minute", "second")
"""Names of columns that are a time together, in this order."""

EVENT_NAMES = {
    "event", "event_type", "eventtype", "event_name", "behavior", "behaviour", "behavior_type", "behaviour_type",
    "action", "action_type", "actiontype", "interaction", "interaction_type", "type", "kind", "click", "clicked",
    "is_click", "is_clicked", "liked", "is_liked", "purchased", "is_purchased", "bought", "is_purchase", "purchase",
    "label", "recommend", "recommended", "is_recommended",
}  # fmt: skip
NO_KINDS = ("0", "0.0", "false", "no", "none")
"""Kinds of event that say that there was none."""

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEIGHT_NAMES = {
    "weight", "plays", "play_count", "playcount", "listen_count", "listens", "count", "n", "quantity", "qty", "amount",
    "freq", "frequency", "hours", "playtime", "playtime_forever", "hours_played", "watch_time", "watchtime",
    "dwell_time", "duration", "timesviewed",
}  # fmt: skip
RATING_NAME = re.compile(r"(^|_)(rate|rating|ratings|score|scores|stars|grade|vote|preference|likes?)($|_)")
MAX_KINDS = 20
"""Number of kinds of events above which a column is something else."""

NEARLY_ALL = 0.9
RECENT_SECONDS = (800_000_000, 2_200_000_000)
COMPACT_DATE = r"(19[89]|20[0-4])\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{2}|\d{4}|\d{6})?"
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
    time_parts: tuple[str, ...] = ()
    """several columns that are the time together"""
    hidden: tuple[str, ...] = ()
    """columns whose names are taken by others, or that are part of the time; conditions alone read them"""

    @property
    def aside(self) -> dict[str, str]:
        """Hidden column → its name beside the others."""
        return {column: f"file.{column}" for column in self.hidden}

    @property
    def renamed(self) -> dict[str, str]:
        """Column of the source → our name of it, where they differ."""
        joined = {" and ".join(self.time_parts): TIMESTAMP} if self.time_parts else {}
        return {column: name for name, column in self.columns.items() if name != column} | joined | self.aside


def is_known_name(cell: str) -> bool:
    """True if a column of this name is recognised."""
    return any(plain_name(cell) in names for names in KNOWN.values())


def map_columns(options: ColumnOptions, names: Sequence[str], source: str) -> Mapping:
    """Find the columns; raises DataError when user or item, or one that was named, is not there."""
    time = options.times[0] if len(options.times) == 1 else "" if options.timestamp == "" else None
    asked = {USER: options.user, ITEM: options.item, TIMESTAMP: time, RATING: options.rating}
    parts = tuple(_named(name, names, source, TIMESTAMP) for name in options.times) if len(options.times) > 1 else ()
    mapping: dict[str, str] = {}
    guessed = []
    for canonical, named in asked.items():
        if (named == "" and canonical in (TIMESTAMP, RATING)) or (canonical == TIMESTAMP and parts):
            continue
        taken = [*mapping.values(), *options.named]
        column = _named(named, names, source, canonical) if named else guess_column(canonical, names, taken)
        if column is None and canonical in (USER, ITEM):
            raise DataError(_nothing_found(canonical, names, source))
        if column is not None:
            mapping[canonical] = column
            guessed += [] if named else [f"{canonical} = '{column}'"]
    if TIMESTAMP not in mapping and options.timestamp is None:
        parts = _calendar_columns(names)
        guessed += [f"{TIMESTAMP} = {[*parts]}"] if parts else []
    for canonical, named in ((EVENT, options.event), (WEIGHT, options.weight), (DOMAIN, options.domain_column)):
        if named:
            mapping[canonical] = _named(named, names, source, "domain_column" if canonical == DOMAIN else canonical)
    if options.event_weights and EVENT not in mapping:
        raise DataError(f"{source}: event_weights needs the column of the kind of event. Name it: event = '…'.")
    notes = (Message("guessed columns: {columns}", columns=", ".join(guessed)),) if guessed else ()
    mapped = Mapping(mapping, notes, parts)
    shown = {*mapping.values(), *further_columns(mapped, names)}
    return replace(mapped, hidden=tuple(name for name in names if name not in shown and names.count(name) == 1))


def _calendar_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Columns named year, month, day and so on, if the first three are there."""
    plain = {plain_name(name): name for name in reversed(names)}
    columns = [plain[unit] for unit in CALENDAR if unit in plain]
    return tuple(columns) if all(unit in plain for unit in CALENDAR[:3]) else ()


def further_columns(mapping: Mapping, names: Sequence[str]) -> list[str]:
    """The columns that are not mapped and whose names are not canonical ones."""
    canonical = {USER, ITEM, TIMESTAMP, RATING, WEIGHT, DOMAIN} | ({EVENT} & mapping.columns.keys())
    taken = {*mapping.columns.values(), *mapping.time_parts, *canonical}
    return [name for name in names if name not in taken]


def guess_columns(options: ColumnOptions, names: Sequence[str]) -> dict[str, str | list[str]]:
    """Canonical name → column, or columns of a time, as far as they can be guessed; raises nothing."""
    time = options.timestamp if isinstance(options.timestamp, str) else None
    named = {USER: options.user, ITEM: options.item, TIMESTAMP: time, RATING: options.rating}
    mapping = {canonical: column for canonical, column in named.items() if column is not None and column in names}
    for canonical in [name for name, column in named.items() if column is None]:
        column = guess_column(canonical, names, [*mapping.values(), *options.named])
        if column is not None:
            mapping[canonical] = column
    several = isinstance(options.timestamp, list)
    parts = options.times if several else [] if TIMESTAMP in mapping or time == "" else _calendar_columns(names)
    kept = {canonical: column for canonical, column in mapping.items() if not (several and canonical == TIMESTAMP)}
    return {**kept, **({TIMESTAMP: [*parts]} if parts else {})}


def pick_columns(options: ColumnOptions, frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, Mapping]:
    """The events of a DataFrame under our names, and the mapping with what was guessed."""
    names = [str(name) for name in frame.columns]
    mapping = map_columns(options, names, source)
    for column in mapping.columns.values():
        if names.count(column) > 1:
            raise DataError(f"{source} has {names.count(column)} columns '{column}'. Give each a name of its own.")
    kept = {**mapping.columns, **{name: name for name in further_columns(mapping, names) if names.count(name) == 1}}
    kept |= {aside: column for column, aside in mapping.aside.items()}
    picked = pd.DataFrame({canonical: frame.iloc[:, names.index(column)] for canonical, column in kept.items()})
    picked = picked.infer_objects()  # integers and moments that stand as objects
    if mapping.time_parts:
        joined = {name: frame.iloc[:, names.index(name)].astype("string") for name in mapping.time_parts}
        picked[TIMESTAMP] = _joined_times(joined)
    unused = unused_columns(options, mapping, frame.set_axis(names, axis=1).head(LOOKED_AT))
    picked = picked.assign(**{DOMAIN: options.domain}) if options.domain else picked
    return picked, replace(mapping, notes=(*mapping.notes, *unused))


def _joined_times(parts: dict[str, pd.Series[str]]) -> pd.Series[str]:
    """Several columns as one text: a calendar as ISO 8601, others with spaces between."""
    units = [plain_name(name) for name in parts]
    parts = {name: values.str.replace(r"\.0+$", "", regex=True) for name, values in parts.items()}  # of a float
    if not set(units) <= set(CALENDAR):
        first, *others = parts.values()
        for other in others:
            first = first + " " + other
        return first
    parts = {name: _month_numbers(values) if plain_name(name) == "month" else values for name, values in parts.items()}
    padded = {
        unit: values.str.zfill(4 if unit == "year" else 2) for unit, values in zip(units, parts.values(), strict=True)
    }
    text = padded["year"]
    for unit, mark in zip(CALENDAR[1:], "-- ::", strict=True):
        text = text + mark + padded[unit] if unit in padded else text + mark + ("01" if mark == "-" else "00")
    return text


def _month_numbers(values: pd.Series[str]) -> pd.Series[str]:
    """Months as numbers, also where they are names."""
    numbers = {name: str(nth) for nth, month in enumerate(MONTHS, start=1) for name in (month, month[:3])}
    return values.str.strip().map(lambda value: numbers.get(value.lower(), value), na_action="ignore").astype("string")


def unused_columns(options: ColumnOptions, mapping: Mapping, head: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns that look like a time, a rating, an event type or a weight and are not used as such."""
    used = {*mapping.columns.values(), *mapping.time_parts}
    asked = parse_condition(options.where).columns if options.where else ()
    notes = []
    if TIMESTAMP not in mapping.columns and not mapping.time_parts and options.timestamp is None:
        unused = "'{name}' looks like a time and is not used; take it with timestamp = '{name}'"
        notes += [Message(unused, name=name) for name in likely_times(head, used)]
    if DOMAIN in head.columns and DOMAIN not in mapping.columns and not options.domain:
        catalogue = (
            "'{name}' is not used; if it names the catalogue of each item, take it with domain_column = '{name}'"
        )
        notes.append(Message(catalogue, name=DOMAIN))
    for place, column in enumerate(head.columns):
        name = str(column)
        kind = None if name in used or name in asked else _likely_kind(name, head.iloc[:, place])
        if kind == RATING and RATING not in mapping.columns and options.rating is None:
            notes.append(
                Message("'{name}' looks like a rating and is not used; take it with rating = '{name}'", name=name)
            )
        elif kind == WEIGHT and options.weight is None and not options.event_weights:
            notes.append(
                Message("'{name}' looks like a weight and is not used; take it with weight = '{name}'", name=name)
            )
        elif kind == EVENT and options.event is None:
            values = ", ".join(repr(str(value)) for value in head.iloc[:, place].dropna().unique()[:5])
            sentence = (
                "'{name}' looks like the kind of event ({values}) and all kinds count alike; choose by where, such as "
                "where = \"{name} = {first}\", or by event = '{name}' and event_weights"
            )
            kinds = values.split(", ")
            first = next((kind for kind in kinds if kind.strip("'").lower() not in NO_KINDS), kinds[0])
            notes.append(Message(sentence, name=name, values=values, first=first))
    return tuple(notes)


def _likely_kind(name: str, values: pd.Series[Any]) -> str | None:
    """RATING, WEIGHT or EVENT if a column is called like one and holds such values."""
    plain = plain_name(name)
    present = values.dropna()
    numbers = pd.to_numeric(present.astype("str"), errors="coerce")
    if present.empty:
        return None
    if plain in EVENT_NAMES and present.astype("str").nunique() <= MAX_KINDS:
        return EVENT
    if numbers.isna().mean() > 1 - NEARLY_ALL:
        return None
    if plain in WEIGHT_NAMES:
        return WEIGHT
    return RATING if RATING_NAME.search(plain) else None


def find_event_column(head: pd.DataFrame) -> str | None:
    """The first column that looks like the kind of event."""
    columns = ((str(name), head.iloc[:, place]) for place, name in enumerate(head.columns))
    return next((name for name, values in columns if _likely_kind(name, values) == EVENT), None)


def likely_times(head: pd.DataFrame, used: Container[str]) -> list[str]:
    """Columns of the first rows that look like times and are not used."""
    return [str(name) for place, name in enumerate(head.columns) if name not in used and _is_time(head.iloc[:, place])]


def _is_time(values: pd.Series[Any]) -> bool:
    """True if nearly all values are dates, such as 20140513 too, or recent times in seconds or finer units."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return True
    present = values.dropna()
    if present.empty or pd.api.types.is_bool_dtype(present.dtype):
        return False
    numbers = pd.to_numeric(present, errors="coerce")
    low, high = RECENT_SECONDS
    recent = sum(numbers.between(low * unit, high * unit) for unit in (1, 1_000, 1_000_000, 1_000_000_000))
    texts = present.astype("str").str.strip()
    dates = texts.str.fullmatch(DATE) | texts.str.fullmatch(COMPACT_DATE)
    return bool((dates | (recent > 0)).mean() > NEARLY_ALL)


def _named(name: str, names: Sequence[str], source: str, option: str) -> str:
    if name not in names:
        raise DataError(
            f"{source} has no column '{name}' ({option}).{did_you_mean(name, names)} Its columns: {', '.join(names)}."
        )
    return name


def guess_column(canonical: str, names: Sequence[str], taken: Container[str] = ()) -> str | None:
    """The column that is called as such columns commonly are; None when there is none."""
    plain = {plain_name(name): name for name in reversed(names) if name not in taken}
    return next((plain[common] for common in KNOWN[canonical] if common in plain), None)


def plain_name(name: str) -> str:
    """A column's name as it is compared: in lower case, without a type such as ":token" and signs before it."""
    return re.sub(r"[\s-]+", "_", name.partition(":")[0].strip().lower().lstrip("/#\"'_ "))


def _nothing_found(canonical: str, names: Sequence[str], source: str) -> str:
    if len(names) == 1:
        likely = next((repr(mark) for mark in ("\t", ";", "|", "::", ",", " ") if mark in names[0]), None)
        advice = f"separator = {likely}" if likely else "the separator"
        return (
            f"{source} has one column only, '{names[0]}'. If this is a text file, its separator is wrong: set {advice}."
        )
    remedy = f"Name it by an option; the columns are: {', '.join(names)}."
    if all(re.fullmatch(r"column\d+", name) for name in names):
        return f"{source} has no header line, so no column looks like the {canonical}. {remedy}"
    return f"{source}: no column looks like the {canonical}. {remedy} If a file has no header line, set header = false."


def find_id(named: str | None, canonical: str, names: Sequence[str], source: str, option: str) -> str:
    """The id column of an items or users table; raises DataError, which names the option, when there is none."""
    if named:
        return _named(named, names, source, option)
    guessed = guess_column(canonical, names, ())
    if guessed is None:
        raise DataError(
            f"{source}: no column looks like the id. Name it by {option}; the columns are: {', '.join(names)}. A file "
            f"without a header line needs {canonical}s_header = false."
        )
    return guessed


def find_title(named: str | None, names: Sequence[str], source: str) -> str | None:
    """The title column of an items table, if there is one."""
    if named == "":
        return None
    return _named(named, names, source, TITLE) if named else guess_column(TITLE, names, ())
