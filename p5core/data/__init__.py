"""Data: loading, preparation, data sets and batches."""

__all__: list[str] = []
