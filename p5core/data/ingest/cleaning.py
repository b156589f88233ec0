"""Cleaning: filters, k-core, and encoding of ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p5core.data.columns import ITEM, RATING, TIMESTAMP, USER
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.staging import Staged
from p5core.data.ingest.weights import apply_weights
from p5core.data.profile.report import Dropped
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["Cleaned", "clean"]


@dataclass(frozen=True)
class Cleaned:
    """The table `events`: user and item (codes in order of raw ids), time and fields, by user, time and source row.

    The tables `users` (id, code) and `items` (domain, id, code) hold the raw ids of all codes, dropped ones included.
    """

    dropped: tuple[Dropped, ...]
    k_core_rounds: int


def clean(
    workspace: Workspace,
    staged: Staged,
    *,
    keep: Literal["first", "last", "all"],
    min_rating: float | None,
    min_user_events: int,
    min_item_events: int,
) -> Cleaned:
    """Filter, encode and sort the staged events; raises DataError when nothing, one user or one item is left."""
    _refuse_nothing(workspace, staged)
    weightless = apply_weights(workspace, staged)
    _encode_ids(workspace)
    dropped = [
        *weightless,
        Dropped(Message("rating below {least}", least=min_rating), _drop_low(workspace, staged, min_rating)),
    ]
    _number(workspace)
    repeated = Message("repeated user and item, kept the {kept}", kept=Message(keep))
    dropped.append(Dropped(repeated, _drop_repeated(workspace, keep)))
    before = workspace.count("events")
    rounds = _k_core(workspace, min_user_events, min_item_events)
    gone = before - workspace.count("events")
    rare = Message("users below {users} or items below {items} events", users=min_user_events, items=min_item_events)
    dropped.append(Dropped(rare, gone))
    _refuse_too_little(workspace, before, min_user_events, min_item_events)
    _sort(workspace)
    return Cleaned(tuple(dropped), rounds)


def _refuse_nothing(workspace: Workspace, staged: Staged) -> None:
    """Refuse a log of which no row can be used."""
    if workspace.count("events"):
        return
    worst = max(staged.dropped, key=lambda step: step.rows)
    column = worst.reason.rpartition(" ")[2]
    remedy = f", or take none: {column} = ''" if column in (RATING, TIMESTAMP) else ""
    raise DataError(f"Nothing is left: {worst.rows:,} rows have {worst.reason}. Name the right column{remedy}.")


def _encode_ids(workspace: Workspace) -> None:
    """Replace raw ids by codes in their order, so that later steps handle small integers."""
    for table, key, distinct in (
        ("users", "id", 'SELECT DISTINCT "user" AS id FROM events'),
        ("items", '"domain", id', 'SELECT DISTINCT "domain", "item" AS id FROM events'),
    ):
        code = f"CAST(row_number() OVER (ORDER BY {key}) - 1 AS INTEGER)"
        workspace.run(f"CREATE TABLE {table} AS SELECT {key}, {code} AS code FROM ({distinct})")
    workspace.run(
        'CREATE TABLE coded AS SELECT e.* EXCLUDE ("user", "item", "domain"), u.code AS "user", i.code AS "item" '
        "FROM events e "
        'JOIN users u ON e."user" = u.id JOIN items i ON e."item" = i.id AND e."domain" = i."domain"'
    )
    _becomes_events(workspace, "coded")


def _becomes_events(workspace: Workspace, table: str) -> None:
    workspace.run("DROP TABLE events")
    workspace.run(f"ALTER TABLE {table} RENAME TO events")


def _keep(workspace: Workspace, condition: str) -> int:
    """Keep the events that satisfy a condition, in any order; returns how many were dropped."""
    before = workspace.count("events")
    workspace.run(f"CREATE TABLE kept AS SELECT * FROM events WHERE {condition}")
    _becomes_events(workspace, "kept")
    return before - workspace.count("events")


def _drop_low(workspace: Workspace, staged: Staged, min_rating: float | None) -> int:
    if min_rating is None:
        return 0
    if not staged.has_rating:
        raise DataError(
            Message("prepare.min_rating needs ratings, and this data has none. Name the column or remove the option.")
        )
    return _keep(workspace, f'"rating" >= {float(min_rating)!r}')


def _number(workspace: Workspace) -> None:
    """Replace the source row by the place in order of user, time and source row."""
    in_order = 'SELECT * EXCLUDE ("p5_row") FROM events ORDER BY "user", "time", "p5_row"'
    workspace.run(f'CREATE TABLE numbered AS SELECT row_number() OVER () AS "place", * FROM ({in_order})')
    _becomes_events(workspace, "numbered")


def _sort(workspace: Workspace) -> None:
    """Filters on several threads shuffle rows; one sort at the end puts them back."""
    workspace.run('CREATE TABLE sorted AS SELECT * FROM events ORDER BY "place"')
    _becomes_events(workspace, "sorted")


def _drop_repeated(workspace: Workspace, keep: Literal["first", "last", "all"]) -> int:
    if keep == "all":
        return 0
    choice = "min" if keep == "first" else "max"
    chosen = f'SELECT {choice}("place") FROM events GROUP BY "user", "item"'
    return _keep(workspace, f'"place" IN ({chosen})')


def _k_core(workspace: Workspace, min_user_events: int, min_item_events: int) -> int:
    """Drop rare users and items in turn until nothing changes; returns the number of rounds that dropped something."""
    rounds = 0
    while True:
        dropped = 0
        for column, least in ((USER, min_user_events), (ITEM, min_item_events)):
            rare = f'SELECT "{column}" FROM events GROUP BY "{column}" HAVING count(*) < {least}'
            if least > 1 and workspace.rows(f"{rare} LIMIT 1"):
                dropped += _keep(workspace, f'"{column}" NOT IN ({rare})')
        if not dropped:
            return rounds
        rounds += 1


def _refuse_too_little(workspace: Workspace, before: int, min_user_events: int, min_item_events: int) -> None:
    if workspace.count("events") == 0:
        all_users, all_items = workspace.count("users"), workspace.count("items")
        raise DataError(
            Message(
                "Nothing is left: of {events} events of {users} users with {items} items, none belongs to a user with "
                "{user_events} events and an item with {item_events}. Lower prepare.min_user_events or "
                "prepare.min_item_events, or bring more data.",
                events=f"{before:,}",
                users=f"{all_users:,}",
                items=f"{all_items:,}",
                user_events=min_user_events,
                item_events=min_item_events,
            )
        )
