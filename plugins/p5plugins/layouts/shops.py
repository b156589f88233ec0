"""Shops: purchases, views and ratings of products."""

from __future__ import annotations

from pathlib import Path

import duckdb

from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.raw import RawData
from p5core.data.tables.files import open_table
from p5core.data.tables.sniff import Layout
from p5core.data.tables.sql import quote_text
from p5plugins.layouts.fetched import Fetched
from p5plugins.layouts.published import Published, Variant
from p5plugins.loaders.table import Table, TableConfig

__all__ = [
    "HM", "AmazonReviews", "Diginetica", "OnlineRetail", "Otto", "Personalize", "RetailRocket", "Taobao", "Tmall",
    "Yoochoose",
]  # fmt: skip


def _read_diginetica(files: list[Path], scratch: Path) -> RawData:
    """Views of sessions; a time is the day and the milliseconds since the session began."""
    columns = (USER, "user_id", ITEM, "timeframe", "eventdate")
    table = open_table(files[0], Layout(";", True, "", columns=columns))
    moment = "CAST(eventdate AS TIMESTAMP) + to_milliseconds(CAST(timeframe AS BIGINT))"
    target = scratch / "diginetica.parquet"
    ids = ", ".join(f"CAST({name} AS BIGINT) AS {name}" for name in (USER, ITEM))
    rows = f"SELECT {ids}, {moment} AS {TIMESTAMP} FROM {table.relation}"
    duckdb.connect().execute(f"COPY ({rows}) TO {quote_text(str(target))} (FORMAT parquet)")
    return Table(TableConfig(path=target)).load()


REVIEW = {"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime", "time_unit": "s"}
EVENTS = ("user", "item", "rating", "timestamp")


class AmazonReviews(Fetched):
    """Amazon reviews of 2014, 2018 and 2023 with product metadata (He and McAuley, arXiv 1602.01585; 2403.03952)."""

    name = "amazon_reviews"
    home = "https://amazon-reviews-2023.github.io"
    variants = {
        "2023 reviews": Variant(
            "[!m]*.jsonl*", {"user": "user_id", "item": "parent_asin", "rating": "rating", "timestamp": "timestamp",
                         "time_unit": "ms", "items_id": "parent_asin", "items_title": "title"},
            items="meta_*.jsonl*", begins=r'\{(?=.*"user_id")(?=.*"parent_asin")(?=.*"rating")(?=.*"timestamp")',
        ),
        "2023 ratings": Variant(
            "*.csv*", {"user": "user_id", "item": "parent_asin", "rating": "rating", "timestamp": "timestamp",
                       "time_unit": "ms", "items_id": "parent_asin", "items_title": "title"},
            items="meta_*.jsonl*", begins=r"user_id,parent_asin,rating,timestamp",
        ),
        "2014 or 2018 reviews": Variant(
            "[!m]*.json*", {**REVIEW, "items_id": "asin", "items_title": "title"},
            items="meta_*.json*", begins=r"""\{(?=.*["']reviewerID["'])(?=.*["']asin["'])""",
        ),
        "2014 ratings": Variant(
            "ratings_*.csv*", {"columns": [*EVENTS], "header": False, "time_unit": "s", "items_id": "asin",
                               "items_title": "title"},
            items="meta_*.json*", begins=r"A[0-9A-Z]{9,},[0-9A-Z]{10},\d\.0,\d{9,10}\s*$",
        ),
        "2018 ratings": Variant(
            "*.csv*", {"columns": ["item", "user", "rating", "timestamp"], "header": False, "time_unit": "s",
                       "items_id": "asin", "items_title": "title"},
            items="meta_*.json*", begins=r"[0-9A-Z]{10},A[0-9A-Z]{9,},\d\.0,\d{9,10}\s*$",
        ),
    }  # fmt: skip


class HM(Published):
    """H&M personalised fashion: purchases, articles and customers (Kaggle, 2022)."""

    name = "hm"
    home = "https://www.kaggle.com/c/h-and-m-personalized-fashion-recommendations"
    variants = {
        "transactions": Variant(
            "transactions_train.csv*", {"user": "customer_id", "item": "article_id", "timestamp": "t_dat",
                                        "items_id": "article_id", "items_title": "prod_name",
                                        "users_id": "customer_id"},
            items="articles.csv*", users="customers.csv*", begins=r"t_dat,customer_id,article_id",
        ),
    }  # fmt: skip


class OnlineRetail(Fetched):
    """Online Retail I and II of UCI: invoices of a gift shop; returns cancel (doi 10.24432/C5BW33, C5CG6D)."""

    name = "online_retail"
    home = "https://archive.ics.uci.edu/dataset/502/online+retail+ii"
    variants = {
        "II": Variant(
            "[Oo]nline*[Rr]etail*II*", {"user": "Customer ID", "item": "StockCode", "timestamp": "InvoiceDate",
                                        "weight": "Quantity", "day_first": False},
        ),
        "I": Variant(
            "[Oo]nline*[Rr]etail*", {"user": "CustomerID", "item": "StockCode", "timestamp": "InvoiceDate",
                                     "weight": "Quantity", "day_first": False},
        ),
    }  # fmt: skip


class RetailRocket(Published):
    """RetailRocket: views, additions to the cart and transactions of visitors (Kaggle, 2015)."""

    name = "retailrocket"
    home = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"
    variants = {
        "events": Variant(
            "events.csv*", {"user": "visitorid", "item": "itemid", "timestamp": "timestamp", "time_unit": "ms",
                            "event": "event"},
            begins=r"timestamp,visitorid,event,itemid",
        ),
    }  # fmt: skip


class Yoochoose(Published):
    """Yoochoose: clicks or purchases of sessions (RecSys Challenge 2015)."""

    name = "yoochoose"
    home = "https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015"
    variants = {
        "clicks": Variant(
            "*clicks*.dat*", {"columns": ["session", "timestamp", "item", "category"], "header": False,
                              "separator": ",", "user": "session"},
            begins=r"\d+,\d{4}-\d\d-\d\dT[\d:.]+Z,\d+,\w*\s*$",
        ),
        "purchases": Variant(
            "*buys*.dat*", {"columns": ["session", "timestamp", "item", "price", "quantity"], "header": False,
                            "separator": ",", "user": "session"},
            begins=r"\d+,\d{4}-\d\d-\d\dT[\d:.]+Z,\d+,\d+,\d+\s*$",
        ),
    }  # fmt: skip


class Diginetica(Published):
    """Diginetica: product views of sessions (CIKM Cup 2016)."""

    name = "diginetica"
    home = "https://competitions.codalab.org/competitions/11161"
    variants = {
        "views": Variant(
            "train-item-views.csv*", begins=r"(?i)session_?id;user_?id;item_?id;timeframe;eventdate",
            convert=_read_diginetica,
        ),
    }  # fmt: skip


class Tmall(Published):
    """Tmall repeat buyers: clicks (0), carts (1), purchases (2) and favourites (3) (IJCAI 2015)."""

    name = "tmall"
    home = "https://tianchi.aliyun.com/dataset/42"
    variants = {
        "log format 1": Variant(
            "user_log_format1.csv*", {"user": "user_id", "item": "item_id", "timestamp": "time_stamp",
                                      "time_unit": "step", "event": "action_type", "users_id": "user_id"},
            users="user_info_format1.csv*", begins=r"user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type",
        ),
    }  # fmt: skip


class Taobao(Published):
    """Taobao user behaviour: page views (pv), carts, favourites (fav) and purchases (buy), 2017."""

    name = "taobao"
    home = "https://tianchi.aliyun.com/dataset/649"
    variants = {
        "user behaviour": Variant(
            "UserBehavior.csv*", {"columns": ["user", "item", "category", "event", "timestamp"], "header": False,
                                  "event": "event", "time_unit": "s"},
            begins=r"\d+,\d+,\d+,(pv|buy|cart|fav),\d+\s*$",
        ),
    }  # fmt: skip


class Otto(Published):
    """OTTO: clicks, carts and orders of sessions (RecSys 2022 challenge)."""

    name = "otto"
    home = "https://www.kaggle.com/datasets/otto/recsys-dataset"
    variants = {
        "sessions": Variant(
            "*.jsonl*", {"records": ["events"], "user": "session", "item": "aid", "timestamp": "ts", "time_unit": "ms",
                         "event": "type"},
            begins=r'\{(?=.*"session":\s*\d+)(?=.*"events":)',
        ),
    }  # fmt: skip


class Personalize(Published):
    """Amazon Personalize: interactions, items and users with columns in capitals."""

    name = "personalize"
    home = "https://docs.aws.amazon.com/personalize/latest/dg/interactions-datasets.html"
    variants = {
        "interactions": Variant(
            "[iI]nteractions*.csv*", {"user": "USER_ID", "item": "ITEM_ID", "timestamp": "TIMESTAMP",
                                      "items_id": "ITEM_ID", "users_id": "USER_ID"},
            items="[iI]tems*.csv*", users="[uU]sers*.csv*",
            begins=r"(?=.*\bUSER_ID\b)(?=.*\bITEM_ID\b)(?=.*\bTIMESTAMP\b)",
        ),
    }  # fmt: skip
