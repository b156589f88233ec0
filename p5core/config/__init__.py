"""Experiments: schema, reading, writing and editing."""

__all__: list[str] = []
