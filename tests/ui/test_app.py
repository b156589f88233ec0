"""All pages open, in both languages, and nothing is wrong in the console."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import gradio as gr
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from p5core.errors import DataError
from p5ui.i18n.words import LANGUAGES, words
from p5ui.pages.events import shown
from p5ui.server.app import PAGES, build_app


def test_every_text_is_there_in_every_language() -> None:
    assert all(texts.keys() == set(LANGUAGES) and all(texts.values()) for texts in words().values())


def test_the_browser_chooses_the_language(ui, browser: Browser) -> None:
    with browser.new_context(locale="zh-CN") as context:
        tab = context.new_page()
        for page in PAGES:
            tab.goto(f"{ui.address}/{page.PATH}")
            heading = words()[f"{page.PATH}.heading"]["zh"].lstrip("# ")
            expect(tab.get_by_role("heading", name=heading, exact=True)).to_be_visible()
            expect(tab.locator("nav")).to_contain_text("首页")


def test_torch_is_loaded_after_the_start_and_before_anybody_asks() -> None:
    code = """
import sys, p5core.plugins.discovery, p5ui.server.launch
assert not {"torch", "onnx", "lightning_fabric"} & set(sys.modules)
p5ui.server.launch.load_parts(p5core.plugins.discovery.load_plugins())
assert {"torch", "p5core.workflows.recommend", "p5plugins.backbones.gpt"} <= set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_may_be_refused_goes_through_the_queue(ui) -> None:
    asked = {"click", "input", "select", "submit", "upload"}
    events = [one for one in build_app(ui.workspace).fns.values() if asked & {target[1] for target in one.targets}]
    refusing = [one for one in events if getattr(one.fn, "__code__", None) is shown(print).__code__]
    assert len(refusing) > 20
    assert [one.name for one in refusing if not one.queue] == []


def test_events_show_sentences_as_text() -> None:
    @shown
    def event() -> None:
        raise DataError("There is no file '<b>.csv'.")

    with pytest.raises(gr.Error, match=r"There is no file '&lt;b&gt;\.csv'"):
        event()


def test_links_of_our_own_stay_in_their_tab(ui, page: Page) -> None:
    page.goto(ui.address)
    page.locator("#home-pages a").first.click()
    page.wait_for_url(re.compile(r"/(data|train|runs|compare|recommend|export|plugins)$"))
    assert len(page.context.pages) == 1
    page.go_back()
    expect(page.locator("#home-start")).to_be_visible()


def test_bold_letters_are_of_one_font(ui, page: Page) -> None:
    page.goto(ui.address)
    expect(page.locator("#home-start")).to_be_visible()
    families = page.evaluate(
        "[...document.querySelectorAll('h1, h2, button')].map(one => getComputedStyle(one).fontFamily)"
    )
    assert families
    assert all(one.startswith("system-ui") for one in families)
    assert not [one for one in page.evaluate("[...document.fonts].map(one => one.family)") if "Source Sans" in one]


@pytest.mark.parametrize("place", ["jobs/000001/job.json", "runs/odd/status.json"])
@pytest.mark.parametrize("content", ["", "null", '{"state": 5, "share": "x"}'])
def test_one_damaged_file_does_not_stop_the_interface(ui, page: Page, place: str, content: str) -> None:
    path = ui.workspace.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if "runs" in place:
        shutil.copy(ui.workspace.runs / "first" / "run.json", path.parent)
    try:
        page.goto(f"{ui.address}/runs")
        expect(page.locator("#runs-table")).to_contain_text("first")
        page.wait_for_timeout(1_500)
        assert httpx.get(ui.address, timeout=20).status_code == 200
    finally:
        shutil.rmtree(path.parent)
