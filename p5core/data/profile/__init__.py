"""The profile of an interaction log."""

__all__: list[str] = []
