"""Random logs in the published file formats: what is written, by whom, and what must be read."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["FORMS", "WORDS", "Event", "Form", "random_events"]

WORDS = ["a", "B", "é", "日本", "x y", "it's", 'say "hi"', "a,b", "p|q", "007", "4.50", "-", "none", "a;b", "1e5", "+3"]
START = datetime(2011, 1, 25, 3, 4, 5, tzinfo=UTC)
SECOND, MINUTE, DAY, MILLISECOND = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "days", "milliseconds"))


@dataclass(frozen=True)
class Event:
    """A row of a log."""

    user: Any
    item: Any
    moment: datetime
    value: Any

    @property
    def seconds(self) -> int:
        return round(self.moment.timestamp())

    @property
    def milliseconds(self) -> int:
        return round(self.moment.timestamp() * 1000)


Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Form:
    """A published format: its loader, the ids and values that it holds, and its writer."""

    loader: str
    write: Callable[[Path, Sequence[Event]], None]
    user: Draw
    item: Draw
    value: Draw = lambda rng: None
    columns: tuple[str, ...] = ()
    """what is compared beside user and item; `timestamp`, and one name for the value"""
    step: timedelta = SECOND
    """precision of its times"""
    by_item: bool = False
    """the format is sorted by item, not by time"""


def random_events(form: Form, rng: np.random.Generator) -> list[Event]:
    """Events of unequal times in a random order; every pair of user and item once."""
    users, items = [form.user(rng) for _ in range(6)], [form.item(rng) for _ in range(6)]
    pairs = [(user, item) for user in dict.fromkeys(users) for item in dict.fromkeys(items)]
    chosen = [pairs[place] for place in rng.permutation(len(pairs))[: int(rng.integers(3, len(pairs) + 1))]]
    begin = START.replace(hour=0, minute=0, second=0) if form.step >= MINUTE else START
    span = 300 if form.step == DAY else 100_000
    moments = begin + rng.choice(span, len(chosen), replace=False) * np.array(form.step)
    return [Event(user, item, moment, form.value(rng)) for (user, item), moment in zip(chosen, moments, strict=True)]


def integer(low: int, high: int) -> Draw:
    return lambda rng: int(rng.integers(low, high))


def letters(alphabet: str, n: int, before: str = "") -> Draw:
    return lambda rng: before + "".join(rng.choice(list(alphabet), n))


def one_of(*values: Any) -> Draw:
    return lambda rng: values[int(rng.integers(len(values)))]


DIGITS, CAPITALS, HEX = "0123456789", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789abcdef"
BASE64 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
STARS, WHOLE_STARS = one_of(0.5, 1.0, 2.5, 3.0, 4.5, 5.0), one_of(1.0, 2.0, 3.0, 4.0, 5.0)
WORD = one_of(*WORDS)
NUMBER, LARGE = integer(1, 10**6), integer(1, 10**9)


def text(name: str, row: Callable[[Event], str], head: str = "", encoding: str = "utf-8") -> Callable[..., None]:
    """A writer of one line an event."""

    def write(folder: Path, events: Sequence[Event]) -> None:
        content = (head and head + "\n") + "".join(row(event) + "\n" for event in events)
        data = content.encode(encoding)
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    return write


def quoted(cell: Any) -> str:
    """A cell in quotes, which are doubled within it."""
    return '"' + str(cell).replace('"', '""') + '"'


def document(name: str, row: Callable[[Event], Any], written: Callable[[Any], str] = json.dumps) -> Callable[..., None]:
    """A writer of one JSON document an event."""
    return text(name, lambda event: written(row(event)))


def python_literal(value: dict[str, Any]) -> str:
    """As Python 2 prints a dictionary."""
    cells = (f"u{key!r}: {'u' if isinstance(cell, str) else ''}{cell!r}" for key, cell in value.items())
    return "{" + ", ".join(cells) + "}"


def shown(moment: datetime, pattern: str) -> str:
    return moment.strftime(pattern)


def milliseconds_shown(moment: datetime) -> str:
    return f"{shown(moment, '%Y-%m-%dT%H:%M:%S')}.{moment.microsecond // 1000:03}Z"


def without_zeros(moment: datetime) -> str:
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour}:{moment.minute:02}"


def beside(write: Callable[..., None], name: str, row: Callable[[Any], str], head: str = "") -> Callable[..., None]:
    """A writer that also writes a table of the items."""

    def both(folder: Path, events: Sequence[Event]) -> None:
        write(folder, events)
        rows = "".join(row(item) + "\n" for item in dict.fromkeys(event.item for event in events))
        (folder / name).write_text((head and head + "\n") + rows)

    return both


def in_blocks(folder: Path, events: Sequence[Event]) -> None:
    """Netflix: blocks of films in two files."""
    blocks = []
    for film in dict.fromkeys(event.item for event in events):
        rows = [f"{e.user},{int(e.value)},{shown(e.moment, '%Y-%m-%d')}\n" for e in events if e.item == film]
        blocks.append(f"{film}:\n{''.join(rows)}")
    for number, part in enumerate((blocks[::2], blocks[1::2]), start=1):
        if part:
            (folder / f"combined_data_{number}.txt").write_text("".join(part))


def as_matrix(folder: Path, events: Sequence[Event]) -> None:
    """Jester: a row a user, numbered from 1, and 99 for a joke without a rating."""
    rows = np.full((max(event.user for event in events), 100), 99.0)
    for event in events:
        rows[event.user - 1, event.item - 1] = event.value
    with (folder / "jester-data-1.csv").open("w", newline="") as out:
        csv.writer(out).writerows([int((row != 99).sum()), *(f"{cell:g}" for cell in row)] for row in rows)


def in_sessions(folder: Path, events: Sequence[Event]) -> None:
    """OTTO: a line a session."""
    lines = []
    for session in dict.fromkeys(event.user for event in events):
        inside = [{"aid": e.item, "ts": e.milliseconds, "type": e.value} for e in events if e.user == session]
        lines.append(json.dumps({"session": session, "events": inside}) + "\n")
    (folder / "train.jsonl").write_text("".join(lines))


def in_impressions(folder: Path, events: Sequence[Event]) -> None:
    """MIND: one click an impression, among others."""
    lines = [
        f"{nth}\t{e.user}\t{shown(e.moment, '%m/%d/%Y %I:%M:%S %p')}\t\tN1-0 {e.item}-1 N2-0\n"
        for nth, e in enumerate(events, start=1)
    ]
    (folder / "behaviors.tsv").write_text("".join(lines))


def in_parquet(folder: Path, events: Sequence[Event]) -> None:
    """EB-NeRD: lists of articles in view and clicked."""
    frame = pd.DataFrame(
        {
            "user_id": np.array([e.user for e in events], np.uint32),
            "article_ids_inview": [np.array([e.item, 1], np.int32) for e in events],
            "article_ids_clicked": [np.array([e.item], np.int32) for e in events],
            "impression_time": [e.moment.replace(tzinfo=None) for e in events],
        }
    )
    frame.to_parquet(folder / "behaviors.parquet")


def in_records(folder: Path, events: Sequence[Event]) -> None:
    """Diginetica: the day, and the milliseconds since its beginning."""
    lines = ["sessionId;userId;itemId;timeframe;eventdate\n"]
    for e in events:
        day = e.moment.replace(hour=0, minute=0, second=0, microsecond=0)
        since = (e.moment - day) // MILLISECOND
        lines.append(f"{e.user};NA;{e.item};{since};{shown(day, '%Y-%m-%d')}\n")
    (folder / "train-item-views.csv").write_text("".join(lines))


RATED, TIMED = ("timestamp", "rating"), ("timestamp",)
REVIEWER, ASIN = letters(CAPITALS, 13, "A"), letters(CAPITALS, 10)

FORMS = {
    "movielens-100k": Form(
        "movielens",
        beside(text("u.data", lambda e: f"{e.user}\t{e.item}\t{e.value:g}\t{e.seconds}"),
               "u.item", lambda item: f"{item}|Film {item} (1995)|01-Jan-1995||http://x|" + "|".join("0" * 18 + "1")),
        NUMBER, NUMBER, WHOLE_STARS, RATED,
    ),
    "movielens-10m": Form(
        "movielens",
        beside(text("ratings.dat", lambda e: f"{e.user}::{e.item}::{e.value:g}::{e.seconds}"),
               "movies.dat", lambda item: f"{item}::Film: {item} (1995)::Comedy|Drama"),
        NUMBER, NUMBER, STARS, RATED,
    ),
    "movielens-25m": Form(
        "movielens",
        beside(text("ratings.csv", lambda e: f"{e.user},{e.item},{e.value},{e.seconds}",
                    "userId,movieId,rating,timestamp"),
               "movies.csv", lambda item: f'{item},"Film, {item} (1995)",Comedy|Drama', "movieId,title,genres"),
        NUMBER, NUMBER, STARS, RATED,
    ),
    "amazon-2014": Form(
        "amazon_reviews",
        document("reviews_Beauty_5.json", lambda e: {
            "reviewerID": e.user, "asin": e.item, "reviewerName": 'A "B"', "helpful": [0, 0], "reviewText": "a, 'b'\n",
            "overall": e.value, "summary": "", "unixReviewTime": e.seconds}),
        REVIEWER, ASIN, WHOLE_STARS, RATED,
    ),
    "amazon-2014-ratings": Form(
        "amazon_reviews", text("ratings_Beauty.csv", lambda e: f"{e.user},{e.item},{e.value},{e.seconds}"),
        REVIEWER, ASIN, WHOLE_STARS, RATED,
    ),
    "amazon-2018-ratings": Form(
        "amazon_reviews", text("All_Beauty.csv", lambda e: f"{e.item},{e.user},{e.value},{e.seconds}"),
        REVIEWER, ASIN, WHOLE_STARS, RATED,
    ),
    "amazon-2023": Form(
        "amazon_reviews",
        document("All_Beauty.jsonl", lambda e: {
            "rating": e.value, "title": "x", "text": "a\tb", "images": [], "asin": "B0", "parent_asin": e.item,
            "user_id": e.user, "timestamp": e.milliseconds, "helpful_vote": 0, "verified_purchase": True}),
        REVIEWER, ASIN, WHOLE_STARS, RATED, MILLISECOND,
    ),
    "amazon-2023-ratings": Form(
        "amazon_reviews",
        text("All_Beauty.csv", lambda e: f"{e.user},{e.item},{e.value},{e.milliseconds}",
             "user_id,parent_asin,rating,timestamp"),
        REVIEWER, ASIN, WHOLE_STARS, RATED, MILLISECOND,
    ),
    "yelp": Form(
        "yelp",
        document("yelp_academic_dataset_review.json", lambda e: {
            "review_id": "r", "user_id": e.user, "business_id": e.item, "stars": e.value, "useful": 0, "text": "a\nb",
            "date": shown(e.moment, "%Y-%m-%d %H:%M:%S")}),
        letters(BASE64, 22), letters(BASE64, 22), WHOLE_STARS, RATED,
    ),
    "goodreads": Form(
        "goodreads",
        text("goodreads_interactions.csv", lambda e: f"{e.user},{e.item},1,{e.value:g},0",
             "user_id,book_id,is_read,rating,is_reviewed"),
        NUMBER, NUMBER, one_of(0.0, 3.0, 5.0), ("rating",),
    ),
    "goodreads-genre": Form(
        "goodreads",
        document("goodreads_interactions_poetry.json.gz", lambda e: {
            "user_id": e.user, "book_id": e.item, "review_id": "1", "is_read": True, "rating": int(e.value),
            "review_text_incomplete": "", "date_updated": "",
            "date_added": shown(e.moment - timedelta(hours=7), "%a %b %d %H:%M:%S -0700 %Y")}),
        letters(HEX, 32), letters(DIGITS, 7, "1"), one_of(0.0, 3.0, 5.0), RATED,
    ),
    "steam-200k": Form(
        "steam", text("steam-200k.csv", lambda e: f"{e.user},{quoted(e.item)},{e.value},1.0,0"),
        LARGE, WORD, one_of("purchase", "play"), ("event",),
    ),
    "steam-reviews": Form(
        "steam",
        document("steam_reviews.json", lambda e: {
            "username": e.user, "hours": 1.5, "product_id": e.item, "date": shown(e.moment, "%Y-%m-%d"), "text": ""},
            python_literal),
        WORD, letters(DIGITS, 6, "1"), columns=TIMED, step=DAY,
    ),
    "lastfm-hetrec": Form(
        "lastfm", text("user_artists.dat", lambda e: f"{e.user}\t{e.item}\t{e.value:g}", "userID\tartistID\tweight"),
        NUMBER, NUMBER, one_of(1.0, 7.0, 352.0), ("weight",),
    ),
    "lastfm-1k": Form(
        "lastfm",
        text("userid-timestamp-artid-artname-traid-traname.tsv",
             lambda e: f"{e.user}\t{shown(e.moment, '%Y-%m-%dT%H:%M:%SZ')}\t\tDeep \"Dish\"\t\t{e.item}"),
        letters(DIGITS, 6, "user_"), WORD, columns=TIMED,
    ),
    "lastfm-360k": Form(
        "lastfm", text("usersha1-artmbid-artname-plays.tsv", lambda e: f"{e.user}\t\t{e.item}\t{e.value:g}"),
        letters(HEX, 40), WORD, one_of(1.0, 7.0, 352.0), ("weight",),
    ),
    "mind": Form("mind", in_impressions, letters(DIGITS, 5, "U"), letters(DIGITS, 5, "N"), columns=TIMED),
    "ebnerd": Form("ebnerd", in_parquet, LARGE, LARGE, columns=TIMED),
    "book-crossing": Form(
        "book_crossing",
        text("BX-Book-Ratings.csv", lambda e: f'"{e.user}";"{e.item}";"{e.value:g}"', '"User-ID";"ISBN";"Book-Rating"',
             "latin-1"),
        NUMBER, letters(DIGITS + "X", 9, "0"), one_of(0.0, 5.0, 10.0), ("rating",),
    ),
    "book-crossing-commas": Form(
        "book_crossing", text("Ratings.csv", lambda e: f"{e.user},{e.item},{e.value:g}", "User-ID,ISBN,Book-Rating"),
        NUMBER, letters(DIGITS + "X", 9, "0"), one_of(0.0, 5.0, 10.0), ("rating",),
    ),
    "retailrocket": Form(
        "retailrocket",
        text("events.csv", lambda e: f"{e.milliseconds},{e.user},{e.value},{e.item},",
             "timestamp,visitorid,event,itemid,transactionid"),
        NUMBER, NUMBER, one_of("view", "addtocart", "transaction"), ("timestamp", "event"), MILLISECOND,
    ),
    "yoochoose-clicks": Form(
        "yoochoose", text("yoochoose-clicks.dat", lambda e: f"{e.user},{milliseconds_shown(e.moment)},{e.item},S"),
        NUMBER, LARGE, columns=TIMED, step=MILLISECOND,
    ),
    "yoochoose-buys": Form(
        "yoochoose", text("yoochoose-buys.dat", lambda e: f"{e.user},{milliseconds_shown(e.moment)},{e.item},12462,1"),
        NUMBER, LARGE, columns=TIMED, step=MILLISECOND,
    ),
    "diginetica": Form("diginetica", in_records, NUMBER, NUMBER, columns=TIMED, step=MILLISECOND),
    "tmall": Form(
        "tmall",
        text("user_log_format1.csv", lambda e: f"{e.user},{e.item},833,2882,2661,{shown(e.moment, '%m%d')},{e.value:g}",
             "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type"),
        NUMBER, NUMBER, one_of(0.0, 1.0, 2.0, 3.0), ("event",), DAY,
    ),
    "taobao": Form(
        "taobao", text("UserBehavior.csv", lambda e: f"{e.user},{e.item},1,{e.value},{e.seconds}"),
        NUMBER, NUMBER, one_of("pv", "cart", "fav", "buy"), ("timestamp", "event"),
    ),
    "otto": Form(
        "otto", in_sessions, NUMBER, NUMBER, one_of("clicks", "carts", "orders"), ("timestamp", "event"), MILLISECOND
    ),
    "hm": Form(
        "hm",
        text("transactions_train.csv", lambda e: f"{shown(e.moment, '%Y-%m-%d')},{e.user},{e.item},0.05,2",
             "t_dat,customer_id,article_id,price,sales_channel_id"),
        letters(HEX, 64), letters(DIGITS, 9, "0"), columns=TIMED, step=DAY,
    ),
    "online-retail": Form(
        "online_retail",
        text("Online Retail.csv",
             lambda e: f"536365,{e.item},\"HEART, RED\",{e.value:g},{without_zeros(e.moment)},2.55,{e.user},UK",
             "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"),
        NUMBER, letters(DIGITS, 5, "A"), one_of(1.0, 6.0, 24.0), ("timestamp", "weight"), MINUTE,
    ),
    "netflix": Form("netflix", in_blocks, NUMBER, NUMBER, WHOLE_STARS, RATED, DAY),
    "jester": Form(
        "jester", as_matrix, integer(1, 40), integer(1, 101), one_of(-9.95, -0.5, 0.0, 7.82), ("rating",), by_item=True
    ),
    "gowalla": Form(
        "gowalla",
        text("loc-gowalla_totalCheckins.txt",
             lambda e: f"{e.user}\t{shown(e.moment, '%Y-%m-%dT%H:%M:%SZ')}\t30.2359\t-97.79\t{e.item}"),
        NUMBER, LARGE, columns=TIMED,
    ),
    "foursquare": Form(
        "foursquare",
        text("dataset_TSMC2014_NYC.txt",
             lambda e: f"{e.user}\t{e.item}\t{'4' * 24}\tCaf\xe9 \"x\"\t40.7\t-74.0\t-240\t"
                       + shown(e.moment, "%a %b %d %H:%M:%S +0000 %Y"), encoding="latin-1"),
        NUMBER, letters(HEX, 24), columns=TIMED,
    ),
    "trust": Form("social", text("trust.txt", lambda e: f"{e.user} {e.item} 1"), NUMBER, NUMBER),
    "edges": Form("social", text("out.edges.txt", lambda e: f"{e.user}\t{e.item}"), NUMBER, NUMBER),
    "recbole": Form(
        "recbole",
        text("games.inter", lambda e: f"{e.user}\t{e.item}\t{e.value}\t{e.seconds}",
             "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
        WORD, WORD, STARS, RATED,
    ),
    "personalize": Form(
        "personalize",
        text("interactions.csv", lambda e: f"{quoted(e.user)},{quoted(e.item)},{e.seconds},click",
             "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE"),
        WORD, NUMBER, columns=TIMED,
    ),
}  # fmt: skip
