"""The page Home."""

__all__: list[str] = []
