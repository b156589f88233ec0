"""A question with two answers before something is deleted."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr
from gradio.events import Dependency

from p5ui.i18n.messages import said
from p5ui.i18n.words import t
from p5ui.pages.events import ASKED, QUICK

__all__ = ["Confirmation"]


class Confirmation:
    """The hidden question of a page, `PAGE.delete_ask` of the translated words, with both answers."""

    def __init__(self, page: str) -> None:
        self._page = page
        with gr.Group(visible=False) as self._group:
            self._question = gr.HTML(padding=True, elem_id=f"{page}-question")
            with gr.Row():
                self._yes = gr.Button(t("confirmation.delete"), variant="stop", elem_id=f"{page}-delete-yes")
                self._no = gr.Button(t("confirmation.keep"), elem_id=f"{page}-delete-no")

    def before(self, button: gr.Button, name: gr.components.Component, delete: Callable[..., Any]) -> Dependency:
        """Ask when the button is clicked, and delete what the component `name` holds on consent.

        Returns the deletion, which has no outputs.
        """
        button.click(self._ask, name, [self._group, self._question], **QUICK)
        self._no.click(_hidden, None, self._group, **QUICK)
        deleted = self._yes.click(delete, name, None, **ASKED)
        deleted.then(_hidden, None, self._group, **QUICK)
        return deleted

    def _ask(self, name: str | None, request: gr.Request) -> tuple[Any, str]:
        if not name:
            return gr.Group(visible=False), ""
        return gr.Group(visible=True), said(request.headers, f"{self._page}.delete_ask", name=escape(name))


def _hidden() -> gr.Group:
    return gr.Group(visible=False)
