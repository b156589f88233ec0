"""What all events of the pages have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from typing import ParamSpec, TypeVar

import gradio as gr

from p5core.errors import P5Error

__all__ = ["shown"]

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
