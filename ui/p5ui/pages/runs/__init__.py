"""The page Runs."""

__all__: list[str] = []
