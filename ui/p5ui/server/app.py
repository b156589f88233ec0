"""The gradio application with all pages."""

from __future__ import annotations

import gradio as gr

from p5ui.pages.compare import page as compare
from p5ui.pages.data import page as data
from p5ui.pages.export import page as export
from p5ui.pages.home import page as home
from p5ui.pages.plugins import page as plugins
from p5ui.pages.recommend import page as recommend
from p5ui.pages.runs import page as runs
from p5ui.pages.train import page as train
from p5ui.server.page_script import page_script
from p5ui.workspace.workspace import Workspace

__all__ = ["PAGES", "build_app", "script"]

PAGES = (data, train, runs, compare, recommend, export, plugins)

CACHE_SECONDS = (3_600, 86_400)
"""Interval between clean-ups of files passed to the browser, and the age at which they are deleted."""


def build_app(workspace: Workspace) -> gr.Blocks:
    """Draw the pages for a working folder."""
    app = gr.Blocks(title="P5", analytics_enabled=False, delete_cache=CACHE_SECONDS)
    with app:
        home.build(workspace)
    for page in PAGES:
        with app.route(page.TITLE, page.PATH):
            page.build(workspace)
    return app


def script() -> str:
    """JavaScript of every page."""
    return page_script({"": "nav.home"} | {page.PATH: f"nav.{page.PATH}" for page in PAGES})
