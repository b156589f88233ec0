"""Items found by words of their titles."""

from __future__ import annotations

import pandas as pd

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.data.raw import RawData
from p5core.workflows.item_search import ItemSearch


def search(titles: list[str | None] | None = None) -> ItemSearch:
    """Items a, b, c, d with 1, 2, 3, 4 events."""
    ids = ["a", "b", "c", "d"]
    events = pd.DataFrame(
        [(f"u{user}", item) for place, item in enumerate(ids, start=1) for user in range(place)],
        columns=["user", "item"],
    )
    items = None if titles is None else pd.DataFrame({"item": ids, "title": titles})
    return ItemSearch(prepare(RawData(events, items), PrepareConfig(min_user_events=1, min_item_events=1))[0])


TITLES = ["Blue Moon", "blue Straße", "Red (moon)", None]


def test_all_words_must_occur_in_any_case() -> None:
    found = search(TITLES)
    assert found.find("BLUE", 10) == ["b", "a"], "most events first"
    assert found.find("moon blue", 10) == ["a"]
    assert found.find("(moon", 10) == ["c"], "what is typed is no pattern"
    assert found.find("strasse", 10) == ["b"]
    assert found.find("green", 10) == []


def test_an_empty_text_finds_the_most_popular() -> None:
    assert search(TITLES).find("  ", 2) == ["d", "c"]


def test_an_id_is_found_first() -> None:
    assert search(["d", "x", "d d", None]).find("d", 10) == ["d", "c", "a"]
    assert search().find("a", 10) == ["a"], "without titles, ids are searched"


def test_titles_of_unknown_items_are_their_ids() -> None:
    assert search(TITLES).titles(["a", "nobody", "d"]) == ["Blue Moon", "nobody", "d"]
    assert search().titles(["a", "nobody"]) == ["a", "nobody"]
