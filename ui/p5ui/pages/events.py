"""Settings shared by the events of all pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from p5core.errors import P5Error

__all__ = ["ASKED", "IN_TURN", "QUICK", "shown"]

QUICK: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
"""Events that nobody has to wait for and that have no reason to refuse: clocks, first contents, what only looks."""

ASKED: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "hidden"}
"""Quick events that a person asks for and may be refused, any number at once.

Only the queue carries sentences: outside of it a refusal is an HTTP error, which browsers log as a fault of the page,
and messages besides the outputs reach nobody.
"""

IN_TURN: dict[str, Any] = {**ASKED, "concurrency_limit": 1, "concurrency_id": "in turn"}
"""Those where each builds on what the one before it has made."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def shown(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let an event show the sentence of a P5Error to the person who caused it; other errors are faults and stay so."""

    @wraps(function)
    def event(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except P5Error as error:
            text = escape(str(error), quote=False)  # what pops up is read as HTML, and may name a file of anybody's
            raise gr.Error(text, duration=None, print_exception=False) from None

    return event
