"""Databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from p5core.config.base import parse_config
from p5core.data.raw import RawData
from p5core.errors import DataError
from p5plugins.loaders.sql import SQL, SQLConfig

QUERY = "SELECT * FROM events ORDER BY ts"


def load(url: str, query: str = QUERY, **options: Any) -> RawData:
    return SQL(parse_config(SQLConfig, {"url": url, "query": query, **options}, "data")).load()


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (customer_id INTEGER, sku TEXT, ts INTEGER, score REAL)")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", [(1, "007", 20, 4.5), (2, "b", 10, None)])
        connection.execute("CREATE TABLE products (sku TEXT, name TEXT, price REAL)")
        connection.execute("INSERT INTO products VALUES ('007', 'Bond', 1.5)")
    connection.close()
    return path


@pytest.fixture
def duck(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE events AS SELECT 1 AS user_id, '007' AS item_id, 10::BIGINT AS ts")
        connection.execute("CREATE TABLE people AS SELECT 1 AS user_id, 30 AS age")
    return path


def test_a_sqlalchemy_database_is_queried(sqlite):
    raw = load(f"sqlite:///{sqlite}", items_query="SELECT * FROM products", domain="shop", time_unit="s")
    frame = raw.interactions
    assert frame["user"].tolist() == [2, 1]
    assert frame["item"].tolist() == ["b", "007"]
    assert frame["rating"].isna().tolist() == [True, False]
    assert frame["domain"].tolist() == ["shop", "shop"]
    assert raw.items is not None
    assert raw.items.to_dict("records") == [{"item": "007", "title": "Bond", "price": 1.5}]
    assert raw.source == f"sqlite:///{sqlite}"
    assert "user = 'customer_id', item = 'sku', timestamp = 'ts', rating = 'score'" in raw.notes[0]


def test_a_colon_in_a_query_is_no_parameter(sqlite):
    raw = load(f"sqlite:///{sqlite}", "SELECT customer_id AS user, ' :x 12:30' AS item, '50%' AS other FROM events")
    assert raw.interactions["item"].tolist() == [" :x 12:30"] * 2


@pytest.mark.parametrize("prefix", ["", "duckdb:///"])
def test_a_duckdb_file_is_queried(duck, prefix):
    raw = load(f"{prefix}{duck}", users_query="SELECT * FROM people")
    assert raw.interactions.to_dict("list") == {"user": [1], "item": ["007"], "timestamp": [10]}
    assert raw.users is not None
    assert raw.users.to_dict("list") == {"user": [1], "age": [30]}
    assert raw.source == "shop.duckdb"


def test_variables_in_the_url_are_expanded(duck, monkeypatch):
    monkeypatch.setenv("P5_TEST_FILE", str(duck))
    assert len(load("${P5_TEST_FILE}").interactions) == 1


def test_files_that_are_not_there_are_not_made(tmp_path):
    with pytest.raises(DataError, match=r"There is no DuckDB file .*none\.duckdb, and that is no SQLAlchemy URL"):
        load(str(tmp_path / "none.duckdb"))
    with pytest.raises(DataError, match=r"There is no SQLite file .*none\.db\. Check the url"):
        load(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_query_is_explained(sqlite, duck):
    with pytest.raises(DataError, match=r"sqlite:///.*shop\.db refused the query: .*no such table: nowhere\.$"):
        load(f"sqlite:///{sqlite}", "SELECT * FROM nowhere")
    with pytest.raises(DataError, match=r"shop\.duckdb refused the query: .*nowhere does not exist"):
        load(str(duck), "SELECT * FROM nowhere")


def test_a_missing_driver_is_named():
    with pytest.raises(DataError, match=r"mysql\+pymysql://ann:\*\*\*@host/shop needs the driver 'pymysql'") as caught:
        load("mysql+pymysql://ann:swordfish@host/shop?secret=hush", QUERY)
    assert "swordfish" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_url_that_is_none_is_explained_without_showing_it():
    with pytest.raises(DataError, match="The url is no SQLAlchemy URL") as caught:
        load("://ann:swordfish@host", QUERY)
    assert "swordfish" not in str(caught.value)


def test_an_unknown_dialect_is_explained():
    with pytest.raises(DataError, match=r"nosuch://ann:\*\*\*@host/shop refused the query: .*nosuch"):
        load("nosuch://ann:swordfish@host/shop", QUERY)


def test_secrets_are_taken_out_of_the_words_of_the_database(sqlite):
    with pytest.raises(DataError, match=r"refused the query: .*no such vfs: \*\*\*") as caught:
        load(f"sqlite:///file:{sqlite}?uri=true&vfs=swordfish")
    assert "swordfish" not in str(caught.value)


def test_a_parameter_of_the_url_that_makes_no_sense_is_explained(sqlite):
    with pytest.raises(DataError, match=r"refused the query: could not convert string to float"):
        load(f"sqlite:///{sqlite}?timeout=long")


def test_the_password_is_not_in_the_text_of_the_options():
    config = SQLConfig(url="postgresql://ann:swordfish@host/shop", query=QUERY)
    assert "swordfish" not in repr(config)


def test_columns_of_a_query_are_explained(duck):
    with pytest.raises(DataError, match=r"the query has no column 'customer' \(user\)"):
        load(str(duck), user="customer")
    with pytest.raises(DataError, match="the query has 2 columns 'user'"):
        load(f"sqlite:///{_sqlite_beside(duck)}", "SELECT 1 AS user, 2 AS user, 3 AS item")


def _sqlite_beside(path: Path) -> Path:
    beside = path.with_name("empty.db")
    beside.write_bytes(b"")
    return beside
