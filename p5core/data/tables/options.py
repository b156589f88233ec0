"""Options of loaders of tables: which columns are what, and how their cells are read."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from p5core.config.base import Config
from p5core.data.columns import ITEM, USER
from p5core.data.raw import IdType, TimeUnit
from p5core.data.tables.conditions import parse_condition
from p5core.data.tables.sql import NULL_WORDS

__all__ = ["ColumnOptions"]


class ColumnOptions(Config):
    """Options for the mapping of columns; those left open are guessed from common names and reported."""

    user: str | None = None
    """Column of user ids; default: guessed."""

    item: str | None = None
    """Column of item ids; default: guessed."""

    timestamp: str | list[str] | None = None
    """Column of timestamps, or several, such as ["date", "time"]; default: guessed; "": none."""

    rating: str | None = None
    """Column of ratings; default: guessed; "": none."""

    event: str | None = None
    """Column of the kind of event, such as "view" or "purchase"; default: none."""

    weight: str | None = None
    """Column of weights, such as plays or quantities; negative ones cancel earlier events."""

    domain_column: str | None = None
    """Column with the domain of each item."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items; excludes domain_column."""

    where: str | None = Field(None, min_length=1)
    """Condition on the rows to keep, such as "event = 'purchase' and price > 0"."""

    event_weights: dict[str, Annotated[float, Field(ge=-1e9, le=1e9)]] = {}
    """Weight of an event by its kind, such as {view = 1, cart = 3}; other kinds are dropped."""

    time_unit: TimeUnit | None = None
    """Unit of numeric timestamps: s, ms, us, ns, step (order only) or excel; default: guessed."""

    time_format: str | None = Field(None, min_length=1)
    """Format of textual timestamps, such as %d/%m/%Y %H:%M; default: detected."""

    day_first: bool | None = None
    """True if 01/02/2024 means 1 February; default: detected from the column."""

    id_type: Literal["auto", "integer", "text"] = "auto"
    """Type of ids; "auto": integers if all ids of a column are written as integers."""

    null_words: list[str] = [*NULL_WORDS]
    """Words that stand for a missing value, beside empty cells."""

    explode: bool = False
    """True if a cell may hold a list of items; each gets a row."""

    on_error: Literal["refuse", "drop"] = "refuse"
    """Refuse a log with unreadable rows, or drop such rows and list them."""

    @field_validator("where")
    @classmethod
    def _can_be_parsed(cls, where: str | None) -> str | None:
        if where is not None:
            parse_condition(where)
        return where

    @model_validator(mode="after")
    def _one_domain(self) -> Self:
        if self.domain and self.domain_column:
            raise ValueError("domain and domain_column exclude each other; remove one")
        if self.weight and self.event_weights:
            raise ValueError("weight and event_weights exclude each other; remove one")
        return self

    @property
    def reading(self) -> dict[str, Any]:
        """The options of reading, for `RawData`."""
        ids: dict[str, IdType] = {} if self.id_type == "auto" else {USER: self.id_type, ITEM: self.id_type}
        return {
            "time_unit": self.time_unit,
            "time_format": self.time_format,
            "day_first": self.day_first,
            "null_words": tuple(self.null_words),
            "id_types": ids,
            "explode": self.explode,
            "where": self.where,
            "event_weights": self.event_weights,
            "on_error": self.on_error,
        }

    @property
    def times(self) -> list[str]:
        """The columns that are named as the time."""
        named = [self.timestamp] if isinstance(self.timestamp, str) else self.timestamp or []
        return [name for name in named if name]

    @property
    def named(self) -> list[str]:
        """The columns that were named."""
        columns = (self.user, self.item, *self.times, self.rating, self.event, self.weight, self.domain_column)
        return [name for name in columns if name]
