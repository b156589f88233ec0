"""Well-known data sets in the file formats in which they are published."""

__all__: list[str] = []
