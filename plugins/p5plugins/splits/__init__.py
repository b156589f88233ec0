"""Built-in splits."""

__all__: list[str] = []
