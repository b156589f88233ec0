"""Items of one or many domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p5core.data.catalogue import Catalogue
from p5core.errors import DataError


def catalogue(items: list[Any], domains: list[str], **columns: list[Any]) -> Catalogue:
    return Catalogue(pd.DataFrame({"item": pd.Index(items), "domain": domains, **columns}))


BOTH = catalogue(["a", "b", "a", "c"], ["books", "films", "films", "books"])


def test_an_id_means_different_items_in_two_domains() -> None:
    assert BOTH.encode(["a", "b", "c"], "books").tolist() == [0, -1, 3]
    assert BOTH.encode(["a", "b", "c"], "films").tolist() == [2, 1, -1]
    assert BOTH.decode(np.array([2, 0, 3])) == ["a", "a", "c"]


def test_the_domains_have_codes_and_members() -> None:
    assert BOTH.domains == ("books", "films")
    assert BOTH.domain_codes.tolist() == [0, 1, 1, 0]
    assert BOTH.members("books").tolist() == [0, 3]
    assert BOTH.members("films").tolist() == [1, 2]


def test_the_only_domain_need_not_be_named() -> None:
    one = catalogue([7, 9], ["default"] * 2)
    assert one.encode([9, "7", 8]).tolist() == [1, 0, -1]
    assert one.members().tolist() == [0, 1]
    assert one.decode(np.array([1])) == [9]
    assert (one.id_kind, BOTH.id_kind) == ("int64", "string")


@pytest.mark.parametrize("domain", [None, "", "music"])
def test_one_of_several_domains_must_be_named(domain: str | None) -> None:
    message = "The catalogue has 2 domains: books, films. Name one" if domain is None else f"Unknown domain '{domain}'"
    with pytest.raises(DataError, match=message):
        BOTH.encode(["a"], domain)


def test_titles_fall_back_to_ids() -> None:
    one = catalogue([7, 9], ["default"] * 2, title=["Seven", None])
    assert one.titles(np.array([1, 0, 1])) == ["9", "Seven", "9"]
    assert BOTH.titles(np.array([0])) is None


def test_features_are_what_is_left() -> None:
    assert catalogue([1], ["x"], title=["t"], year=[1990], genres=["a|b"]).features == ["year", "genres"]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.text("abc", min_size=1)), unique=True, min_size=1))
def test_every_item_is_found_in_its_domain_alone(pairs: list[tuple[str, str]]) -> None:
    domains, items = map(list, zip(*pairs, strict=True))
    found = catalogue(items, domains)
    assert found.index.is_unique
    assert len(found.index) == len(found) == len(pairs)
    for domain in found.domains:
        wanted = [code if own == domain else -1 for code, own in enumerate(domains)]
        members = found.members(domain)
        assert members.tolist() == [code for code in wanted if code >= 0]
        assert found.encode(found.decode(members), domain).tolist() == members.tolist()
