"""The page Data."""

from __future__ import annotations

import gradio as gr

from p5ui.studio import Studio
from p5ui.words import t

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Data"
PATH = "data"


def build(studio: Studio) -> None:
    """Draw the page."""
    gr.Markdown(t("data.heading"))
