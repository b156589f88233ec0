"""Messages with values, in the language of the browser."""

from __future__ import annotations

import re
from collections.abc import Mapping

from p5ui.i18n.words import LANGUAGES, words

__all__ = ["language_of", "plain", "said", "said_in_markdown"]

PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
"""Characters with a meaning in Markdown or HTML; a backslash escapes them."""


def language_of(headers: Mapping[str, str]) -> str:
    """The preferred language of the browser among the translated ones; English otherwise."""
    languages = [language.split(";")[0].strip().lower() for language in headers.get("accept-language", "").split(",")]
    return next((language.split("-")[0] for language in languages if language.split("-")[0] in LANGUAGES), LANGUAGES[0])


def said(headers: Mapping[str, str], key: str, /, **values: object) -> str:
    """The text of a key with its values filled in; raises KeyError for a key that is not there."""
    return words()[key][language_of(headers)].format(**values)


def said_in_markdown(headers: Mapping[str, str], key: str, /, **values: object) -> str:
    """`said` for a component that shows Markdown: the values stay what they are, whoever wrote them."""
    return said(headers, key, **{name: plain(str(value)) for name, value in values.items()})


def plain(text: str) -> str:
    """A text of anybody's as Markdown that shows exactly that text: no picture, no link, no heading."""
    return PUNCTUATION.sub(r"\\\g<0>", " ".join(text.split()))
