"""Formatting of numbers and durations."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["cell", "clock", "shown_value"]


def clock(seconds: float) -> str:
    """A duration such as "0:07", "12:30" or "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def cell(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A metric with its 95 % interval, such as "0.1234 (0.1200 to 0.1270)"; a dash if it is undefined."""
    if value is None or value != value:
        return "–"
    return f"{value:.4f}" + (f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else "")


def shown_value(value: object) -> str:
    """An option in short: numbers with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
