"""Processes that outlive the one that starts them, told apart from others that got the same number later."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["NICENESS", "born", "kill", "lives", "start"]

PROC = Path("/proc")

NICENESS = 10
"""What is started gives way to whoever sits at the machine, the web interface above all."""


def born(pid: int) -> str | None:
    """When a living process began, in the system's own words; None for one that is dead or a zombie."""
    state, _, began = (_from_proc(pid) if (PROC / "self" / "stat").exists() else _from_ps(pid)).partition(" ")
    return None if state[:1] in ("", "Z", "X") else began


def _from_proc(pid: int) -> str:
    """State and the clock ticks from the system's start to the process's (proc_pid_stat(5), fields 3 and 22)."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return f"{fields[0]} {fields[19]}"


def _from_ps(pid: int) -> str:
    """State and the local time of the start, where there is no /proc."""
    command = ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def lives(pid: int, began: str | None) -> bool:
    """Whether a process is alive, and the one that began then; when that is not known (None), any of its number."""
    now = born(pid)
    return now is not None and began in (None, now)


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
    with suppress(ProcessLookupError):  # it may be over already
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, process.pid, max(own, NICENESS))
    threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie until this process ends
    return process.pid


def kill(pid: int, began: str | None, number: signal.Signals) -> bool:
    """Send a signal to a process, and to those it started when it leads a session; False when it is not that one."""
    if began is None or not lives(pid, began):
        return False
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
