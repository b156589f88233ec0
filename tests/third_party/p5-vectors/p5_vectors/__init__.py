"""Two encoders."""

from __future__ import annotations

from p5core import hookimpl

__all__ = ["P5_API_VERSION", "p5_encoders"]

P5_API_VERSION = 2


@hookimpl
def p5_encoders() -> list[type]:
    """Imported when somebody asks."""
    from p5_vectors.encoders import VectorFile, Words

    return [VectorFile, Words]
