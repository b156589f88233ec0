"""Ctrl-C and SIGTERM, handled for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["STOPPING", "handled"]

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""What asks a program to stop."""


@contextmanager
def handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `stop` for these signals; what was called before is called again afterwards.

    Signals reach the main thread alone: in another one nothing is changed.
    """
    try:
        previous = {number: signal.signal(number, stop) for number in STOPPING}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
