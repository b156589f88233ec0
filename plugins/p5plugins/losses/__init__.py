"""Built-in losses."""

__all__: list[str] = []
