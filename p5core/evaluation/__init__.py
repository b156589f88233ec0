"""Honest measurement."""

__all__: list[str] = []
