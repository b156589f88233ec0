"""The application: all pages in one."""

from __future__ import annotations

import json

import gradio as gr

from p5ui.pages import compare, data, export, home, plugins, recommend, runs, train
from p5ui.studio import Studio
from p5ui.words import LANGUAGES, words

__all__ = ["PAGES", "build_app", "navigation_script"]

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


def navigation_script() -> str:
    """JavaScript that names the pages in the language of the browser; the navigation bar itself knows one only."""
    paths = {"": "nav.home"} | {page.PATH: f"nav.{page.PATH}" for page in PAGES}
    names = {language: {path: words()[key][language] for path, key in paths.items()} for language in LANGUAGES}
    return f"""() => {{
        const names = {json.dumps(names)}[navigator.language.split("-")[0]] ?? {{}};
        for (const link of document.querySelectorAll("nav a")) {{
            link.textContent = names[new URL(link.href).pathname.split("/").pop()] ?? link.textContent;
        }}
    }}"""
