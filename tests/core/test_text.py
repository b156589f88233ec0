"""Figures as text."""

from __future__ import annotations

import math

import pytest

from p5core.system.text import cell, clock


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3_600, "1:00:00"), (7_207, "2:00:07")])
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_metrics() -> None:
    assert cell(0.12341) == "0.1234"
    assert cell(0.12341, (0.1, 0.2)) == "0.1234 (0.1000 to 0.2000)"
    assert cell(math.nan) == cell(None) == "–"
