"""Commands that are killed, stopped or fail before a file operation end as if they had not, or say one sentence.

A sample of the points here; all of them by `make chaos`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FORKS = Path(__file__).with_name("forks.py")

SAMPLES = [
    *[("run", "kill", 2), ("update", "kill", 2), ("export", "kill", 1), ("replace", "kill", 1), ("tune", "kill", 12)],
    *[("score", "kill", 1), ("run", "term", 9), ("update", "term", 11), ("tune", "term", 13), ("export", "term", 1)],
    *[("run", "ENOSPC", 9), ("run", "EIO", 11), ("run", "ESTALE", 13), ("run", "rename", 4), ("update", "EIO", 9)],
    *[("refit", "kill", 3), ("refit", "term", 9), ("refit", "ENOSPC", 9)],
    *[("tune", "ENOSPC", 13), ("export", "EIO", 1), ("replace", "ESTALE", 1), ("replace", "rename", 1)],
    *[
        ("score", "ENOSPC", 1),
        ("tune", "rename", 5),
        ("score", "EIO", 1),
        ("score", "term", 1),
        ("export", "ENOSPC", 1),
    ],
]
"""Scenario, fault, and of how many points one is tried."""


@pytest.mark.parametrize(("scenario", "fault", "every"), SAMPLES, ids=lambda value: str(value))
def test_every_interruption_ends_well(scenario: str, fault: str, every: int, tmp_path: Path) -> None:
    step = 1 if os.environ.get("P5_WHOLE_CHAOS") else every
    command = [sys.executable, str(FORKS), scenario, fault, str(tmp_path / "work"), "--every", str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    head, *points = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(points) == -(-head["points"] // step)
    assert points
    assert [point for point in points if not is_well(point, fault)] == []


def is_well(point: dict[str, str], fault: str) -> bool:
    """True if the command was struck or said one sentence, and what follows ends as if nothing had been."""
    struck = {"kill": ("signal 9",), "term": ("ok", "stopped")}.get(fault, ("ok", "sentence"))
    return point["first"].startswith(struck) and point["end"] == "same"


def test_two_commands_at_once_leave_nothing_broken(tmp_path: Path) -> None:
    command = [sys.executable, str(FORKS.with_name("pairs.py")), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(pairs) >= 20
    assert [pair for pair in pairs if pair["broken"] or not all(map(is_told, pair["said"]))] == []
    assert all("ok" in pair["said"] for pair in pairs)


def is_told(said: str) -> bool:
    """True for success or one sentence."""
    return said == "ok" or said.startswith("sentence: Error: ")
