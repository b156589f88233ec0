"""News, books and music."""

from __future__ import annotations

from p5plugins.layouts.fetched import Fetched
from p5plugins.layouts.impressions import read_ebnerd, read_mind
from p5plugins.layouts.published import Published, Variant

__all__ = ["MIND", "BookCrossing", "EBNeRD", "Goodreads", "LastFM"]


BEHAVIORS = r"\d+\tU\d+\t[^\t]+\t[^\t]*\tN\d+(-[01])?(\s|$)"
"""First line of MIND's impressions; those of the test part do not say what was clicked."""


class MIND(Published):
    """MIND: clicks and impressions of news (Wu et al., doi 10.18653/v1/2020.acl-main.331)."""

    name = "mind"
    home = "https://msnews.github.io"
    variants = {
        "behaviors": Variant("behaviors.tsv*", begins=BEHAVIORS, convert=read_mind),
        "parts": Variant("*/behaviors.tsv*", begins=BEHAVIORS, convert=read_mind),
    }


class EBNeRD(Published):
    """EB-NeRD: clicks and impressions of news of Ekstra Bladet (arXiv 2410.03432)."""

    name = "ebnerd"
    home = "https://recsys.eb.dk"
    variants = {
        "behaviors": Variant("behaviors.parquet", begins=r".*\barticle_ids_inview\b", convert=read_ebnerd),
        "parts": Variant("*/behaviors.parquet", begins=r".*\barticle_ids_inview\b", convert=read_ebnerd),
    }


class BookCrossing(Published):
    """Book-Crossing: ratings from 1 to 10, and 0 for books without one (Ziegler et al., 2005)."""

    name = "book_crossing"
    home = "http://www2.informatik.uni-freiburg.de/~cziegler/BX/"
    variants = {
        "semicolons": Variant(
            "BX-Book-Ratings.csv*",
            {"separator": ";", "encoding": "latin-1", "quote": '"', "escape": "\\", "user": "User-ID", "item": "ISBN",
             "rating": "Book-Rating", "items_separator": ";", "items_encoding": "latin-1", "items_quote": '"',
             "items_escape": "\\", "items_id": "ISBN", "items_title": "Book-Title", "users_separator": ";",
             "users_encoding": "latin-1", "users_quote": '"', "users_escape": "\\", "users_id": "User-ID"},
            items="BX-Books.csv*", users="BX-Users.csv*", begins=r'"?User-ID"?;"?ISBN"?;"?Book-Rating"?',
        ),
        "commas": Variant(
            "Ratings.csv*", {"user": "User-ID", "item": "ISBN", "rating": "Book-Rating", "items_id": "ISBN",
                             "items_title": "Book-Title", "users_id": "User-ID"},
            items="Books.csv*", users="Users.csv*", begins=r'"?User-ID"?,"?ISBN"?,"?Book-Rating"?',
        ),
    }  # fmt: skip


class Goodreads(Fetched):
    """Goodreads: shelves and ratings of books, 0 where there is none (Wan and McAuley, 2018)."""

    name = "goodreads"
    home = "https://mengtingwan.github.io/data/goodreads"
    variants = {
        "interactions of a genre": Variant(
            "goodreads_interactions_*.json*",
            {"user": "user_id", "item": "book_id", "rating": "rating", "timestamp": "date_added",
             "items_id": "book_id", "items_title": "title"},
            items="goodreads_books*.json*", begins=r'\{(?=.*"user_id")(?=.*"book_id")(?=.*"date_added")',
        ),
        "reviews": Variant(
            "goodreads_reviews*.json*",
            {"user": "user_id", "item": "book_id", "rating": "rating", "timestamp": "date_added",
             "items_id": "book_id", "items_title": "title"},
            items="goodreads_books*.json*", begins=r'\{(?=.*"user_id")(?=.*"book_id")(?=.*"review_text")',
        ),
        "all interactions": Variant(
            "goodreads_interactions.csv*", {"user": "user_id", "item": "book_id", "rating": "rating"},
            begins=r"user_id,book_id,is_read,rating,is_reviewed",
        ),
    }  # fmt: skip


class LastFM(Fetched):
    """Last.fm: plays of artists (HetRec 2011; 360K) and of tracks in order (1K, Celma 2010)."""

    name = "lastfm"
    home = "http://ocelma.net/MusicRecommendationDataset/"
    variants = {
        "hetrec": Variant(
            "user_artists.dat*", {"separator": "\t", "user": "userID", "item": "artistID", "weight": "weight",
                                  "columns": ["userID", "artistID", "weight"], "header": True,
                                  "items_separator": "\t", "items_quote": "", "items_header": True,
                                  "items_columns": ["id", "name", "url", "pictureURL"], "items_id": "id",
                                  "items_title": "name"},
            items="artists.dat*", begins=r"(//)?userID\tartistID\tweight",
        ),
        "1K": Variant(
            "userid-timestamp-artid-artname-traid-traname.tsv*",
            {"separator": "\t", "header": False, "quote": "", "null_words": [], "user": "user", "item": "item",
             "timestamp": "timestamp",
             "columns": ["user", "timestamp", "artist_id", "artist_name", "track_id", "item"],
             "users_separator": "\t", "users_id": "user", "users_header": True,
             "users_columns": ["user", "gender", "age", "country", "registered"]},
            users="userid-profile.tsv*", begins=r"user_\d+\t\d{4}-\d\d-\d\dT",
        ),
        "360K": Variant(
            "usersha1-artmbid-artname-plays.tsv*",
            {"separator": "\t", "header": False, "quote": "", "null_words": [], "user": "user", "item": "item",
             "weight": "plays",
             "columns": ["user", "artist_id", "item", "plays"], "users_separator": "\t", "users_header": False,
             "users_columns": ["user", "gender", "age", "country", "signup"], "users_id": "user"},
            users="usersha1-profile.tsv*", begins=r"[0-9a-f]{40}\t",
        ),
    }  # fmt: skip
