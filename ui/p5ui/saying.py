"""Sentences with figures in them, in the language that a browser asks for."""

from __future__ import annotations

from collections.abc import Mapping

from p5ui.words import LANGUAGES, words

__all__ = ["language_of", "said"]


def language_of(headers: Mapping[str, str]) -> str:
    """The first language that the browser prefers and that there are words in; English otherwise."""
    wanted = [one.split(";")[0].strip().lower() for one in headers.get("accept-language", "").split(",")]
    return next((one.split("-")[0] for one in wanted if one.split("-")[0] in LANGUAGES), LANGUAGES[0])


def said(headers: Mapping[str, str], key: str, **values: object) -> str:
    """The text of a key with its values filled in; raises KeyError for a key that is not there."""
    return words()[key][language_of(headers)].format(**values)
