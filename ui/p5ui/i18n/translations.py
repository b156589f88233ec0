"""Translation of option help, descriptions and findings into the language of the browser.

The core and its parts know English alone. Their sentences are looked up as they are in `words/option.toml`,
`words/part.toml` and `words/finding.toml`; one that is not there, such as that of another's plugin, stays English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from gradio.i18n import I18nData

from p5core.system.messages import Message
from p5ui.i18n.messages import language_of, said
from p5ui.i18n.words import t, words

__all__ = ["FINDINGS", "HELPS", "told", "translated"]

HELPS = ("option", "part")
"""Files of sentences that never change."""

FINDINGS = "finding"
"""The file of sentences with values in them: the templates of `p5core.system.messages.Message`."""


def told(sentence: str) -> I18nData | str:
    """The component text of a help or description."""
    key = _keys().get(sentence)
    return t(key) if key else sentence


def translated(headers: Mapping[str, str], sentence: str) -> str:
    """A help, a description or a finding for the browser that sent these headers."""
    if not isinstance(sentence, Message):
        key = _keys().get(sentence)
        return words()[key][language_of(headers)] if key else sentence
    key = _keys().get(sentence.template)
    values = {
        name: translated(headers, value) if isinstance(value, Message) else value
        for name, value in sentence.values.items()
    }
    return said(headers, key, **values) if key else sentence


@cache
def _keys() -> Mapping[str, str]:
    """English sentence or template → its key."""
    return {texts["en"]: key for key, texts in words().items() if key.partition(".")[0] in (*HELPS, FINDINGS)}
