"""The operating system: files, processes, signals."""

__all__: list[str] = []
