"""The page Data."""

__all__: list[str] = []
