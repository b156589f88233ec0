"""Experiments: their options, how they are read, written and changed."""

__all__: list[str] = []
