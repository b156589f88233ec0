"""What the page Plugins says of parts and of plugins that fail."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from playwright.sync_api import Page, expect
from pydantic import Field

from p5core.config.base import Config, ExpandedPath
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.kinds import KINDS
from p5ui.i18n.words import words
from p5ui.pages.plugins.inventory import OptionRow, inventory_html, option_rows, type_text

ENGLISH: dict[str, str] = {}
CHINESE = {"accept-language": "zh-CN"}


class Options(Config):
    n: int = Field(2, ge=1, lt=9)
    """How many
    there are."""

    rate: float | None = None
    kind: Literal["a", "b"] = "a"
    names: list[str] = Field(min_length=1)


def say(key: str) -> str:
    return words()[f"plugins.{key}"]["en"]


def test_options_are_listed_with_type_default_bounds_and_help() -> None:
    assert option_rows(Options) == [
        OptionRow("n", "int", "2", "≥ 1, < 9", "How many there are."),
        OptionRow("rate", "float | none", "none", "", ""),
        OptionRow("kind", "a | b", "a", "", ""),
        OptionRow("names", "list of str", "", "length ≥ 1", ""),
    ]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Annotated[int, "x"], "int"),
        (dict[str, int], "str → int"),
        (list[str] | None, "list of str | none"),
        (ExpandedPath, "Path"),
        (Literal[True, "x"], "true | x"),
    ],
)
def test_types_are_written_for_people(annotation: object, text: str) -> None:
    assert type_text(annotation) == text


class Broken:
    """Fails when its parts are collected, with text that is no HTML."""

    @hookimpl
    def p5_losses(self) -> list[type]:
        raise ValueError("<b>lost</b>")


def test_every_part_is_there_and_faults_are_text() -> None:
    registry = load_plugins(extra=[("<i>odd</i>", Broken())])
    html = inventory_html(registry, ENGLISH)
    for kind in KINDS:
        assert all(f'id="{kind}-{name}"' in html for name in registry.parts(kind))
    assert "ValueError: &lt;b&gt;lost&lt;/b&gt;" in html
    assert "&lt;i&gt;odd&lt;/i&gt;" in html
    assert "<b>lost" not in html
    assert "<i>odd" not in html


def test_parts_are_found_by_their_words() -> None:
    html = inventory_html(load_plugins(), ENGLISH, " NDCG ")
    assert 'id="metric-ndcg"' in html
    assert 'id="loader-movielens"' not in html
    assert say("nothing") in inventory_html(load_plugins(), ENGLISH, "no such part")


def test_parts_are_told_in_chinese_and_found_in_both_languages() -> None:
    for wanted in ("折损增益", "cumulative gain"):
        html = inventory_html(load_plugins(), CHINESE, wanted)
        assert words()["part.metric_ndcg"]["zh"] in html
        assert words()["part.metric_k"]["zh"] in html
        assert 'id="metric-hr"' not in html


def test_the_page_shows_why_a_plugin_failed(ui, page: Page, shot) -> None:
    page.goto(f"{ui.address}/plugins")
    fault = page.locator("#plugins-installed details.fault")
    expect(fault.locator("summary")).to_have_text("broken (p5-broken 0.3): failed")
    expect(fault.locator("pre")).to_contain_text("No module named 'no_such_module'")
    page.get_by_label("Find parts").fill("sasrec")
    expect(page.locator("#metric-ndcg")).to_have_count(0)
    page.locator("#backbone-gpt summary").click()
    expect(page.locator("#backbone-gpt")).to_contain_text("n_layers")
    shot(page, "plugins")
