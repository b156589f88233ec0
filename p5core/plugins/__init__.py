"""Plugins: their hooks, how they are found and checked, and the parts they provide."""

__all__: list[str] = []
