"""Translation of option help, descriptions and findings into the language of the browser.

The core and its parts know English alone. Their sentences are looked up as they are in `words/option.toml`,
`words/part.toml` and `words/finding.toml`; one that is not there, such as that of another's plugin, stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from gradio.i18n import I18nData

from p5ui.i18n.messages import language_of, said
from p5ui.i18n.words import t, words

__all__ = ["FINDINGS", "HELPS", "known", "told", "translated"]

HELPS = ("option", "part")
"""Files of sentences that never change."""

FINDINGS = "finding"
"""The file of sentences with figures and names in them; where two fit, the first counts."""

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def told(sentence: str) -> I18nData | str:
    """The component text of a help or description."""
    key = _helps().get(sentence)
    return t(key) if key else sentence


def translated(headers: Mapping[str, str], sentence: str) -> str:
    """A help, a description or a finding for the browser that sent these headers."""
    key = _helps().get(sentence)
    if key:
        return words()[key][language_of(headers)]
    finding = known(sentence)
    if finding is None:
        return sentence
    return said(headers, finding[0], **{name: translated(headers, value) for name, value in finding[1].items()})


def known(finding: str) -> tuple[str, dict[str, str]] | None:
    """The key of a finding and the values in it; None for one that there are no words for."""
    matches = ((key, pattern.fullmatch(finding)) for key, pattern in _findings().items())
    return next(((key, match.groupdict()) for key, match in matches if match), None)


@cache
def _helps() -> Mapping[str, str]:
    """Sentence → its key."""
    return {texts["en"]: key for key, texts in words().items() if key.partition(".")[0] in HELPS}


@cache
def _findings() -> Mapping[str, re.Pattern[str]]:
    """Key → what its sentence looks like with any values."""
    sentences = {key: texts["en"] for key, texts in words().items() if key.partition(".")[0] == FINDINGS}
    return {key: re.compile(_pattern(template), re.DOTALL) for key, template in sentences.items()}


def _pattern(template: str) -> str:
    """The text as it is, and whatever stands for its placeholders."""
    pieces = PLACEHOLDER.split(template)
    return "".join(f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces))
