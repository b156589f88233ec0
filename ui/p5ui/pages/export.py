"""The page Export."""

from __future__ import annotations

import gradio as gr

from p5ui.studio import Studio
from p5ui.words import t

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Export"
PATH = "export"


def build(studio: Studio) -> None:
    """Draw the page."""
    gr.Markdown(t("export.heading"))
