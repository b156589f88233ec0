"""Plugins: hooks, discovery, checks, and the registry of their parts."""

__all__: list[str] = []
