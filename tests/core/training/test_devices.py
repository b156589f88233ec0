"""No tensor stays behind on the processor: without a GPU by fake tensors, and with one by training on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fake_device
import pytest


@pytest.mark.parametrize("check", list(fake_device.CHECKS))
def test_everything_is_on_the_device(check: str) -> None:
    command = [sys.executable, "-W", "error", str(Path(fake_device.__file__)), check]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
