"""MovieLens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from p5core.config.base import Config, ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.columns import ITEM, RATING, TIMESTAMP, TITLE, USER
from p5core.data.raw import RawData
from p5core.data.tables.columns import map_columns
from p5core.data.tables.events import scan_events
from p5core.data.tables.files import open_table
from p5core.data.tables.metadata import read_features, tidy_metadata
from p5core.data.tables.options import ColumnOptions
from p5core.data.tables.sniff import Layout
from p5core.errors import DataError
from p5core.system.messages import Message
from p5plugins.loaders.fetch import fetch
from p5plugins.loaders.gsasrec import read_sequences
from p5plugins.loaders.movielens_100k import fetch_movielens_100k

__all__ = ["MovieLens", "MovieLensConfig"]

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""Columns of u.item, in its order."""

EVENTS = (USER, ITEM, RATING, TIMESTAMP)
MOVIES = (ITEM, TITLE, "genres")
USERS = {"100k": (USER, "age", "gender", "occupation", "zip"), "1m": (USER, "gender", "age", "occupation", "zip")}


class MovieLensConfig(Config):
    """Options of the movielens loader.

    Layouts: 100k, 1m, 10m and latest (also 20M, 25M and 32M) as GroupLens publishes them, or those of RecBole and
    gSASRec. gSASRec's files lack the last item but one of most users; gsasrec-gapless ends their histories before it.
    """

    path: ExpandedPath | None = None
    """Folder of a downloaded set; default: a set is downloaded and cached."""

    size: Literal["100k", "1m", "10m", "20m", "25m", "32m"] = "100k"
    """Set to download where no path is given."""

    variant: Literal["auto", "100k", "1m", "10m", "latest", "recbole", "gsasrec", "gsasrec-gapless"] = "auto"
    """Layout of the folder, by publisher; "auto" detects it from the files."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items."""


class MovieLens(Loader):
    """MovieLens 100K, 1M, 10M, 20M, 25M, 32M and "latest" (Harper and Konstan, doi 10.1145/2827872).

    Items have title, year and genres ("Action|Comedy"); users age, gender, occupation and zip if the set has them.
    """

    name = "movielens"
    Config = MovieLensConfig
    config: MovieLensConfig

    @classmethod
    def recognises(cls, path: Path) -> float:
        """A folder with the films and ratings of one of the layouts."""
        if path.name in ("u.data", "ratings.dat"):
            path = path.parent
        films = ("u.item", "movies.dat", "movies.csv", "ml-*.item", "ml1m_items.dat")
        is_films = path.is_dir() and any(any(path.glob(sign)) for sign in films)
        return 0.9 if is_films and any(any(path.glob(sign)) for sign in SIGNS.values()) else 0.0

    def load(self) -> RawData:
        """Find ratings, movies and users; raises DataError when a file is missing or the set cannot be fetched."""
        folder = self.config.path or _fetch(self.config.size)
        folder = folder.parent if folder.is_file() else folder
        variant = _variant(folder) if self.config.variant == "auto" else self.config.variant
        raw = READERS[variant](folder, self.config.domain)
        guessed = (
            (Message("guessed variant '{variant}'", variant=variant),)
            if self.config.path and self.config.variant == "auto"
            else ()
        )
        source = f"MovieLens in {folder}" if self.config.path else f"MovieLens-{self.config.size.upper()}"
        return replace(raw, source=source, notes=(*guessed, *raw.notes))


SIGNS = {
    "100k": "u.data",
    "1m": "users.dat",
    "10m": "ratings.dat",
    "latest": "ratings.csv",
    "recbole": "*.inter",
    "gsasrec": "gsasrec/train/input.txt",
}
"""Layout → the file that gives it away."""


def _fetch(size: str) -> Path:
    return fetch_movielens_100k() if size == "100k" else fetch("movielens", size)


def _variant(folder: Path) -> str:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Check the path, or leave it out to fetch a set.")
    variants = [variant for variant, sign in SIGNS.items() if list(folder.glob(sign))]
    if not variants:
        raise DataError(f"{folder} is no MovieLens folder: it has none of {', '.join(SIGNS.values())}. Check the path.")
    return variants[0]


def _original_100k(folder: Path, domain: str | None) -> RawData:
    items = _table(
        folder / "u.item", Layout("|", False, "", "latin-1", (ITEM, TITLE, "released", "video", "url", *GENRES))
    )
    flags = items[list(GENRES)].to_numpy().astype(bool)
    items["genres"] = ["|".join(genre for genre, has in zip(GENRES, row, strict=True) if has) for row in flags]
    users = _users(folder / "u.user", Layout("|", False, "", "latin-1", USERS["100k"]))
    return _raw(
        folder / "u.data", Layout("\t", False, "", columns=EVENTS), _with_year(items[list(MOVIES)]), users, domain
    )


def _original_1m(folder: Path, domain: str | None) -> RawData:
    items = _table(folder / "movies.dat", Layout("::", False, "", "latin-1", MOVIES))
    users = _users(folder / "users.dat", Layout("::", False, "", "latin-1", USERS["1m"]))
    return _raw(folder / "ratings.dat", Layout("::", False, "", columns=EVENTS), _with_year(items), users, domain)


def _original_10m(folder: Path, domain: str | None) -> RawData:
    try:
        items = _table(folder / "movies.dat", Layout("::", False, "", columns=MOVIES))
    except DataError:  # a copy of the 1M set without its users
        return _original_1m(folder, domain)
    return _raw(folder / "ratings.dat", Layout("::", False, "", columns=EVENTS), _with_year(items), None, domain)


def _latest(folder: Path, domain: str | None) -> RawData:
    items = _table(folder / "movies.csv", Layout(",", True, '"'))
    items["genres"] = items["genres"].where(items["genres"] != "(no genres listed)")
    return _raw(folder / "ratings.csv", Layout(",", True, '"'), _with_year(items), None, domain)


def _recbole(folder: Path, domain: str | None) -> RawData:
    files = sorted(folder.glob("*.inter"))
    events = files[0] if len(files) == 1 else folder / "*.inter"  # the parts of a benchmark
    items = _table(next(iter(folder.glob("*.item")), folder / "ml-100k.item"), Layout("\t", True, ""))
    items = items.rename(columns={"release_year": "year", "class": "genres", "genre": "genres"})
    if "year" in items:
        items["year"] = pd.to_numeric(items["year"], errors="coerce").astype("Int64")
    users = _users(next(iter(folder.glob("*.user")), folder / "ml-100k.user"), Layout("\t", True, ""))
    users = None if users is None else users.rename(columns={"zip_code": "zip"})
    return _raw(events, Layout("\t", True, ""), items, users, domain)


def _gsasrec(folder: Path, domain: str | None, *, gapless: bool = False) -> RawData:
    items = _table(folder / "ml1m_items.dat", Layout("\t", False, "", columns=MOVIES))
    users = _users(folder / "ml1m_users.dat", Layout("\t", False, "", columns=USERS["1m"]))
    return read_sequences(folder, _with_year(items), users, domain, gapless=gapless)


READERS: dict[str, Callable[[Path, str | None], RawData]] = {
    "100k": _original_100k,
    "1m": _original_1m,
    "10m": _original_10m,
    "latest": _latest,
    "recbole": _recbole,
    "gsasrec": _gsasrec,
    "gsasrec-gapless": partial(_gsasrec, gapless=True),
}


def _raw(path: Path, layout: Layout, items: pd.DataFrame, users: pd.DataFrame | None, domain: str | None) -> RawData:
    table = open_table(path, layout)
    events = scan_events(table, map_columns(ColumnOptions(), table.columns, table.source), domain)
    return RawData(events, items=items, users=users, time_unit="s", header_rows=table.header_rows)


def _users(path: Path, layout: Layout) -> pd.DataFrame | None:
    """The table of users, which copies of the sets may lack."""
    return _table(path, layout, USER) if path.exists() else None


def _table(path: Path, layout: Layout, key: str = ITEM) -> pd.DataFrame:
    table = open_table(path, layout)
    frame, _ = tidy_metadata(read_features(table, key), key, table.source, header_rows=table.header_rows)
    assert frame is not None
    return frame


def _with_year(items: pd.DataFrame) -> pd.DataFrame:
    """Take the year out of titles such as "Heat (1995)"."""
    parts = items[TITLE].str.extract(r"^(?P<title>.*?)\s*(?:\((?P<year>\d{4})\))?\s*$")
    return items.assign(**{TITLE: parts["title"], "year": pd.to_numeric(parts["year"]).astype("Int64")})
