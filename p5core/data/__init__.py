"""From raw rows to batches."""

__all__: list[str] = []
