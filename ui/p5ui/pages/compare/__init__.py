"""The page Compare."""

__all__: list[str] = []
