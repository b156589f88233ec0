"""Cleaning and encoding of interaction logs on DuckDB."""

__all__: list[str] = []
