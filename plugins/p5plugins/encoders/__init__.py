"""Built-in encoders."""

__all__: list[str] = []
