"""Recommendations for files of histories."""

__all__: list[str] = []
