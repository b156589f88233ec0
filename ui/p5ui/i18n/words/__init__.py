"""The texts of the interface in English and Chinese: one TOML file per page.

[train.start]
en = "Start"
zh = "开始"

Texts of the core and its parts have files of their own, `option`, `part` and `finding`: see `p5ui.i18n.translations`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import gradio as gr
from gradio.i18n import I18nData

__all__ = ["I18N", "LANGUAGES", "t", "words"]

LANGUAGES = ("en", "zh")


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """Key such as "train.start" → language → text."""
    by_key: dict[str, dict[str, str]] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            for page, entries in tomllib.loads(file.read_text(encoding="utf-8")).items():
                by_key |= {f"{page}.{name}": texts for name, texts in entries.items()}
    return by_key


I18N = gr.I18n(**{language: {key: texts[language] for key, texts in words().items()} for language in LANGUAGES})


def t(key: str) -> I18nData:
    """The component text of a key, in the language of the browser; raises KeyError for an unknown key."""
    words()[key]
    return I18N(key)
