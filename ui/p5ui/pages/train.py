"""The page Train."""

from __future__ import annotations

import gradio as gr

from p5ui.studio import Studio
from p5ui.words import t

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Train"
PATH = "train"


def build(studio: Studio) -> None:
    """Draw the page."""
    gr.Markdown(t("train.heading"))
