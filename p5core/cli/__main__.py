"""`python -m p5core.cli`."""

from __future__ import annotations

from p5core.cli import main

__all__: list[str] = []

main()
