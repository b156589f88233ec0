"""All pages open, in both languages, and nothing is wrong in the console."""

from __future__ import annotations

import subprocess
import sys

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from p5core.errors import DataError
from p5ui.app import PAGES, build_app
from p5ui.events import shown
from p5ui.words import LANGUAGES, words


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
import sys, p5core.plugins, p5ui.launch
assert not {"torch", "onnx", "lightning_fabric"} & set(sys.modules)
p5ui.launch.load_parts(p5core.plugins.load_plugins())
assert {"torch", "p5core.recommender", "p5plugins.backbones.gpt"} <= set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_may_be_refused_goes_through_the_queue(ui) -> None:
    asked = {"click", "input", "select", "submit", "upload"}
    events = [one for one in build_app(ui.studio).fns.values() if asked & {target[1] for target in one.targets}]
    refusing = [one for one in events if getattr(one.fn, "__code__", None) is shown(print).__code__]
    assert len(refusing) > 20
    assert [one.name for one in refusing if not one.queue] == []


def test_events_show_sentences_as_text() -> None:
    @shown
    def event() -> None:
        raise DataError("There is no file '<b>.csv'.")

    with pytest.raises(gr.Error, match=r"There is no file '&lt;b&gt;\.csv'"):
        event()
