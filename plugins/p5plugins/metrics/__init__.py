"""Built-in metrics."""

__all__: list[str] = []
