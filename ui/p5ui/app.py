"""The application: all pages in one."""

from __future__ import annotations

import gradio as gr

from p5ui.page_script import page_script
from p5ui.pages import compare, data, export, home, plugins, recommend, runs, train
from p5ui.studio import Studio

__all__ = ["PAGES", "build_app", "script"]

PAGES = (data, train, runs, compare, recommend, export, plugins)

CACHE_SECONDS = (3_600, 86_400)
"""How often files that were passed to the browser are looked through, and the age at which they are deleted."""


def build_app(studio: Studio) -> gr.Blocks:
    """Draw the pages for a working folder."""
    app = gr.Blocks(title="P5", analytics_enabled=False, delete_cache=CACHE_SECONDS)
    with app:
        home.build(studio)
    for page in PAGES:
        with app.route(page.TITLE, page.PATH):
            page.build(studio)
    return app


def script() -> str:
    """JavaScript of every page."""
    return page_script({"": "nav.home"} | {page.PATH: f"nav.{page.PATH}" for page in PAGES})
