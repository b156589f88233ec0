"""Files, processes, signals and messages."""

__all__: list[str] = []
