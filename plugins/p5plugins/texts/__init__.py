"""Vectors of texts, computed without training."""

__all__: list[str] = []
