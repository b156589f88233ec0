"""Pictures of items, as a page may show them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from p5core.errors import ConfigError
from p5ui.workspace.workspace import Workspace

__all__ = ["picture_column", "picture_source", "thumbnail"]

SIZE = 128
"""Pixels of the longer side of what is sent for a file."""

MAX_PIXELS = 50_000_000
"""A file that unpacks to more is left alone."""

FORMATS = ("GIF", "JPEG", "PNG", "WEBP")
SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".webp")
WEB_SUFFIXES = (*SUFFIXES, ".avif")
WORDS = ("image", "img", "picture", "poster", "cover", "thumb")


def picture_column(frame: pd.DataFrame) -> str | None:
    """The first column of the items whose texts all name pictures, on the web or in files; None without one."""
    for column in frame.columns:
        texts = frame[column].dropna().head(100)
        if len(texts) and all(_names_picture(str(column), text) for text in texts):
            return str(column)
    return None


def _names_picture(column: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    text = value.lower()
    if not _is_on_web(text):
        return ":" not in text and text.endswith(SUFFIXES)
    return text.split("?")[0].endswith(WEB_SUFFIXES) or any(word in column.lower() for word in WORDS)


def _is_on_web(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def picture_source(workspace: Workspace, value: object) -> str | None:
    """The <img> source for a text of the items.

    An http(s) address stays: the browser fetches it, never this program. A file below the working folder becomes a
    small copy within the page. None for everything else: a file elsewhere, one that is missing or no picture.
    """
    if not isinstance(value, str) or not value.strip():
        return None
    if _is_on_web(value):
        return value
    try:
        path = workspace.inside(value)
    except (ConfigError, ValueError, OSError):  # outside, or no name that a file can have
        return None
    return workspace.file_cache.read(thumbnail, path)


def thumbnail(path: Path) -> str | None:
    """A picture in a file as a small WebP in a data URL; None when it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (SIZE, SIZE))
            small = image.convert("RGBA")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((SIZE, SIZE))
    stream = BytesIO()
    small.save(stream, "WEBP")
    return f"data:image/webp;base64,{b64encode(stream.getvalue()).decode()}"
