"""The contracts of all kinds of parts, one file a kind."""

__all__: list[str] = []
