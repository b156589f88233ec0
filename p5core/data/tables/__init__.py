"""Tables in files: how they are written, which column is which, and in what types."""

__all__: list[str] = []
