"""Workflows that the command line and the web interface call."""

__all__: list[str] = []
