"""Ctrl-C, SIGTERM and SIGHUP, handled for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["STOPPING", "handled", "is_interrupted_query", "stopped_with"]

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""A terminal that is closed; Windows has no such signal."""

STOPPING = (signal.SIGINT, signal.SIGTERM, *([] if HANGUP is None else [HANGUP]))
"""Signals that ask a program to stop: Ctrl-C, a supervisor, a terminal that is closed."""


@contextmanager
def handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `stop` for these signals; what was called before is called again afterwards.

    A program that was started by nohup goes on ignoring SIGHUP. Signals reach the main thread alone: in another one
    nothing is changed.
    """
    is_ignored = HANGUP is not None and signal.getsignal(HANGUP) == signal.SIG_IGN
    numbers = [number for number in STOPPING if not (is_ignored and number == HANGUP)]
    try:
        previous = {number: signal.signal(number, stop) for number in numbers}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def stopped_with(sentence: str) -> Iterator[None]:
    """Say what is left when the work within is stopped, unless it says so itself."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(str(stopped) or sentence) from None
    except RuntimeError as error:
        if not is_interrupted_query(error):
            raise
        raise KeyboardInterrupt(sentence) from None


def is_interrupted_query(error: Exception) -> bool:
    """True for what DuckDB raises when a signal stops one of its queries."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"
