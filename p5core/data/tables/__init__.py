"""Table files: layout, mapping of columns and types."""

__all__: list[str] = []
