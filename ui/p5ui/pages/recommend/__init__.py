"""The page Recommend."""

__all__: list[str] = []
