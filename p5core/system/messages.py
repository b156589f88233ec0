"""Messages that keep their template and values, so that an interface can show them in another language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

__all__ = ["Message"]


class Message(str):
    """A sentence with values filled in: `Message("rating below {least}", least=3)` equals "rating below 3".

    Translations are looked up by `template`, the English text with the names of the values in braces, as gettext does.
    Values that are messages themselves are translated too.
    """

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, **values: object) -> Self:
        """Fill in the values, each as text."""
        texts = {name: value if isinstance(value, str) else str(value) for name, value in values.items()}
        message = super().__new__(cls, template.format(**texts))
        message.template, message.values = template, texts
        return message

    def __getnewargs_ex__(self) -> tuple[Any, ...]:
        """Arguments that make an equal message, for copies."""
        return (self.template,), dict(self.values)
