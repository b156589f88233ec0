"""The page Export."""

__all__: list[str] = []
