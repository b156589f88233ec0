"""Built-in scorers."""

__all__: list[str] = []
