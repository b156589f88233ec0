"""Smaller item vectors and their cost in ranking quality."""

__all__: list[str] = []
