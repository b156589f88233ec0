"""The page Plugins."""

__all__: list[str] = []
