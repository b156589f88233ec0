"""Every option of every part at its extremes: refused in a sentence, or run without a traceback.

A sample of the values here; all of them by `make chaos`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("extremes.py")
EVERY = 1 if os.environ.get("P5_WHOLE_CHAOS") else 17


@pytest.mark.parametrize("share", [0, 1])
def test_options_at_their_extremes_show_no_traceback(tmp_path: Path, share: int) -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        str(tmp_path / "work"),
        "--every",
        str(2 * EVERY),
        "--first",
        str(share * EVERY),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 1_000 / EVERY
    assert [case for case in found if not case["end"].startswith(("ok", "stopped", "sentence: "))] == []
    assert any(case["end"] == "ok" for case in found)
    assert any(case["end"].startswith("sentence") for case in found)
