"""Places, games, people, and RecBole's files of any data set."""

from __future__ import annotations

from dataclasses import replace

from p5core.data.raw import RawData
from p5core.errors import DataError
from p5core.system.messages import Message
from p5plugins.layouts.fetched import Fetched
from p5plugins.layouts.published import Published, Variant

__all__ = ["Foursquare", "Gowalla", "RecBole", "Social", "Steam", "Yelp"]


class Yelp(Published):
    """Yelp reviews of businesses, with their categories and the users."""

    name = "yelp"
    home = "https://www.yelp.com/dataset"
    variants = {
        "reviews": Variant(
            "*review.json*", {"user": "user_id", "item": "business_id", "rating": "stars", "timestamp": "date",
                              "items_id": "business_id", "items_title": "name", "users_id": "user_id"},
            items="*business.json*", users="*user.json*",
            begins=r'\{(?=.*"review_id")(?=.*"user_id")(?=.*"business_id")',
        ),
    }  # fmt: skip


class Gowalla(Fetched):
    """Check-ins of Gowalla or Brightkite (Cho et al., doi 10.1145/2020408.2020579)."""

    name = "gowalla"
    home = "https://snap.stanford.edu/data/loc-gowalla.html"
    variants = {
        "check-ins": Variant(
            "*_totalCheckins.txt*", {"separator": "\t", "header": False, "quote": "",
                                     "columns": ["user", "timestamp", "latitude", "longitude", "item"]},
            begins=r"\d+\t\d{4}-\d\d-\d\dT[\d:]+Z\t-?[\d.]+\t-?[\d.]+\t",
        ),
    }  # fmt: skip


class Foursquare(Published):
    """Foursquare check-ins in New York and Tokyo (Yang et al., doi 10.1109/TSMC.2014.2327053)."""

    name = "foursquare"
    home = "https://sites.google.com/site/yangdingqi/home/foursquare-dataset"
    variants = {
        "TSMC2014": Variant(
            "dataset_TSMC2014_*.txt*",
            {"separator": "\t", "header": False, "quote": "", "encoding": "latin-1",
             "columns": ["user", "item", "category_id", "category", "latitude", "longitude", "offset", "timestamp"]},
            begins=r"\d+\t[0-9a-f]{24}\t",
        ),
        "TSMC2014 as CSV": Variant(
            "dataset_TSMC2014_*.csv*", {"user": "userId", "item": "venueId", "timestamp": "utcTimestamp"},
            begins=r"userId,venueId,",
        ),
    }  # fmt: skip

    def load(self) -> RawData:
        """The check-ins of one city; raises DataError for several, each of which numbers its users from 1."""
        match = self._find(self.place())
        if match and len(match[2]) > 1:
            names = ", ".join(file.name for file in match[2])
            raise DataError(
                f"{self.place()} holds several cities, and user 1 of each is another one: {names}. Name one."
            )
        return super().load()


class Steam(Fetched):
    """Steam: hours of play (200k), or dated reviews of games (Kang and McAuley, arXiv 1808.09781)."""

    name = "steam"
    home = "https://cseweb.ucsd.edu/~jmcauley/datasets.html#steam_data"
    variants = {
        "200k": Variant(
            "steam-200k.csv*", {"header": False, "columns": ["user", "item", "event", "hours", "zero"],
                                "event": "event"},
            begins=r'\d+,.*,(purchase|play),\d',
        ),
        "reviews": Variant(
            "steam_reviews.json*", {"user": "username", "item": "product_id", "timestamp": "date", "items_id": "id",
                                    "items_title": "title", "items_where": "id is not null"},
            items="steam_games.json*", begins=r"\{(?=.*['\"]username['\"])(?=.*['\"]product_id['\"])",
        ),
    }  # fmt: skip


class RecBole(Published):
    """RecBole's atomic files: `.inter`, `.item` and `.user` with types in the header (arXiv 2011.01731)."""

    name = "recbole"
    home = "https://recbole.io/dataset_list.html"
    variants = {
        "atomic files": Variant(
            "*.inter", {"separator": "\t", "header": True, "quote": ""}, items="*.item", users="*.user",
            begins=r"\w+:(token|float)(_seq)?(\t\w+:(token|float)(_seq)?)*\s*$",
        ),
    }  # fmt: skip


class Social(Published):
    """Edges between people: whom somebody trusts or follows, as items of the domain "people"."""

    name = "social"
    home = "https://snap.stanford.edu/data/#socnets"
    confidence = 0.3
    variants = {
        "trust": Variant(
            "trust*.txt*", {"header": False, "columns": ["user", "item", "weight"], "separator": " ",
                            "weight": "weight", "timestamp": "", "domain": "people"},
            begins=r"\S+ \S+ \S+\s*$",
        ),
        "edges": Variant(
            "*edges.txt*", {"header": False, "columns": ["user", "item"], "separator": "\t", "timestamp": "",
                            "domain": "people"},
            begins=r"\S+\t\S+\s*$",
        ),
        "friends": Variant(
            "user_friends.dat*", {"separator": "\t", "columns": ["user", "item"], "header": True, "timestamp": "",
                                  "domain": "people"},
            begins=r"userID\tfriendID",
        ),
    }  # fmt: skip

    def load(self) -> RawData:
        """The edges; a file of ratings beside them is not read, and named."""
        raw, path = super().load(), self.place()
        ratings = sorted(path.glob("*rating*")) if path.is_dir() else []
        if not ratings:
            return raw
        note = Message("{name} beside it is not read; name that file to read the ratings", name=ratings[0].name)
        return replace(raw, notes=(*raw.notes, note))
