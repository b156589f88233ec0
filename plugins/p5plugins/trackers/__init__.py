"""Built-in trackers."""

__all__: list[str] = []
