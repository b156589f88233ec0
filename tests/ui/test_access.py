"""Keyboard and screen readers: every control and plot has a name of its own, and focus goes down the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from p5ui.i18n.words import words

FULL = {
    "": "#home-start",
    "data": "#data-upload button",
    "runs?run=first": "#runs-loss svg.marks",
    "compare?run=first": "#compare-warmth svg.marks",
    "recommend?run=first": "#recommend-found input >> nth=0",
    "export?run=first": "#export-run input",
    "plugins": ".inventory table >> nth=0",
    "train": "#train-toml .cm-content",
}
"""Page → what is there when it is full."""

UNNAMED = """() => [...document.querySelectorAll(
    "input, textarea, select, button, [role=button], [role=textbox], [role=graphics-document], [role=grid], iframe"
)].filter(one => one.checkVisibility() && !(
    one.ariaLabel || one.innerText?.trim() || one.title || one.getAttribute("aria-labelledby")
    || [...(one.labels ?? [])].some(label => label.innerText.trim())
)).map(one => one.outerHTML.slice(0, 200))"""
GENERIC = ("Vega visualization", "Code input container", "Click to upload or drop files")
"""What gradio calls things by itself, in any language."""


@pytest.mark.parametrize("path", FULL)
def test_everything_has_a_name(ui, page: Page, path: str) -> None:
    page.goto(f"{ui.address}/{path}")
    expect(page.locator(FULL[path])).to_be_visible()
    for name in GENERIC:
        expect(page.get_by_label(name)).to_have_count(0)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("[...document.querySelectorAll('[tabindex]')].filter(one => one.tabIndex > 0).length") == 0
    expect(page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")).to_have_count(1)


def test_plots_are_called_by_their_labels(ui, page: Page) -> None:
    page.goto(f"{ui.address}/runs?run=first")
    for key in ("loss", "figures", "speed"):
        expect(page.locator(f"#runs-{key} .vega-embed")).to_have_attribute("aria-label", words()[f"runs.{key}"]["en"])
    expect(page.get_by_role("progressbar", name="first")).to_have_attribute("aria-valuenow", "100")


def test_focus_goes_down_the_page(ui, page: Page) -> None:
    page.goto(f"{ui.address}/recommend?run=first")
    expect(page.locator(FULL["recommend?run=first"])).to_be_visible()
    page.locator("#recommend-run input").focus()
    places: list[Any] = []
    for _ in range(24):
        places.append(page.evaluate("document.activeElement.closest('[id^=recommend-]')?.id"))
        page.keyboard.press("Tab")
    expected = ["run", "2nd", "user", "anybody", "history", "search", "found", "k", "go"]
    assert [one for one in dict.fromkeys(places) if one] == [f"recommend-{one}" for one in expected]


def test_the_keyboard_is_enough_to_get_recommendations(ui, page: Page) -> None:
    page.goto(f"{ui.address}/recommend?run=first")
    first = page.locator(FULL["recommend?run=first"])
    first.focus()
    page.keyboard.press("Space")
    expect(first).to_be_checked()
    page.locator("#recommend-go").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#recommend-list-0 li")).to_have_count(10)
    expect(page.locator("#recommend-note")).to_contain_text(re.compile("export"))
