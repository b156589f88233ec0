"""Built-in loaders."""

__all__: list[str] = []
