"""Processes that outlive the one that starts them, told apart from others that get the same number later."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["NICENESS", "born", "kill", "lives", "start"]

NICENESS = 10
"""Jobs give way to whoever sits at the machine, the web interface above all."""

CLOCK_STEPS = 2.0
"""Seconds by which the recorded start of one process may differ, since corrections of the clock move it."""


def born(pid: int) -> str | None:
    """The time at which a living process began, in seconds since 1970; None for one that is dead or a zombie."""
    try:
        process = psutil.Process(pid)
        is_over = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return None if is_over else f"{process.create_time():.2f}"
    except (psutil.Error, ValueError, OverflowError):
        return None


def lives(pid: int, began: str | None) -> bool:
    """True if the process is alive and has the given start time; None accepts any process with that id."""
    now = born(pid)
    return now is not None and (began is None or _is_same(began, now))


def _is_same(began: str, now: str) -> bool:
    try:
        return abs(float(began) - float(now)) < CLOCK_STEPS
    except ValueError:
        return False


def start(command: Sequence[str], folder: Path, output: Path) -> int:
    """Start a program in `folder` that goes on when this one ends, its output kept in a file; returns its number.

    It has a lower priority than this one, and so has what it starts.
    """
    with output.open("ab") as stream:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "160", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    with suppress(psutil.Error):  # it may be over already
        psutil.Process(process.pid).nice(_lower_priority())
    threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie until this process ends
    return process.pid


def _lower_priority() -> int:
    if psutil.WINDOWS:
        return int(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    return max(int(psutil.Process().nice()), NICENESS)


def kill(pid: int, began: str | None, number: signal.Signals | None = None) -> bool:
    """Send a signal to a process and those it started; None ends them at once. False when it is not that process."""
    if began is None or not lives(pid, began):
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                member.kill() if number is None else member.send_signal(number)
    return True
