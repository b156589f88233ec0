"""The page Train."""

__all__: list[str] = []
