"""The application and its protection."""

__all__: list[str] = []
