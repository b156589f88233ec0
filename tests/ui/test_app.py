"""All pages open, in both languages, and nothing is wrong in the console."""

from __future__ import annotations

import subprocess
import sys

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from p5core.errors import DataError
from p5ui.events import shown
from p5ui.words import LANGUAGES, words


def test_every_text_is_there_in_every_language() -> None:
    assert all(texts.keys() == set(LANGUAGES) and all(texts.values()) for texts in words().values())


def test_the_browser_chooses_the_language(ui, browser: Browser) -> None:
    with browser.new_context(locale="zh-CN") as context:
        tab = context.new_page()
        tab.goto(f"{ui.address}/runs")
        expect(tab.get_by_text(words()["runs.heading"]["zh"].lstrip("# "), exact=True).last).to_be_visible()
        expect(tab.locator("nav")).to_contain_text("首页")
        tab.get_by_role("link", name="比较").click()
        expect(tab.locator("nav")).to_contain_text("首页")


def test_what_starts_the_interface_does_not_load_torch() -> None:
    code = "import sys, p5ui.launch; assert not {'torch', 'onnx', 'lightning_fabric'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_the_first_answers_need_is_loaded_before_anybody_asks() -> None:
    code = "; ".join(
        [
            "import sys, p5ui.launch as l, p5core.plugins as p",
            "l.load_parts(p.load_plugins())",
            "assert {'torch', 'p5core.recommender', 'p5plugins.backbones.gpt'} <= set(sys.modules)",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_events_show_sentences_as_text() -> None:
    @shown
    def event() -> None:
        raise DataError("There is no file '<b>.csv'.")

    with pytest.raises(gr.Error, match=r"There is no file '&lt;b&gt;\.csv'"):
        event()
