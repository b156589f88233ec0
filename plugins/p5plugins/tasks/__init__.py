"""Built-in tasks."""

__all__: list[str] = []
