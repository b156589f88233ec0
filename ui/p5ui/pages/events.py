"""Settings shared by the events of all pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from pydantic import ConfigDict, ValidationError, validate_call

from p5core.errors import P5Error
from p5core.system.environment import fault_of

__all__ = ["ASKED", "IN_TURN", "QUICK", "answered", "shown"]

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
    """Let an event say in a sentence what is wrong, to whoever caused it; other errors are faults and stay so."""

    @wraps(function)
    def event(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except P5Error as error:
            raise _sentence(str(error)) from None
        except OSError as error:
            raise _sentence(fault_of(error)) from None

    return event


def answered(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`shown` for the endpoint of a script, whose arguments must be of the types that the function declares."""
    checked = validate_call(config=ConfigDict(strict=True))(function)

    @wraps(function)
    def event(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return shown(checked)(*args, **kwargs)
        except ValidationError as error:
            first = error.errors()[0]
            names = list(signature(function).parameters)
            place, *inner = first["loc"]
            name = names[place] if isinstance(place, int) and place < len(names) else place
            where = ".".join(str(step) for step in (name, *inner))
            raise _sentence(f"{where}: {first['msg']}; got {str(first['input'])[:80]!r}.") from None

    return event


def _sentence(text: str) -> gr.Error:
    """The message that pops up; it is read as HTML, and may name a file of anybody's."""
    return gr.Error(escape(text, quote=False), duration=None, print_exception=False)
