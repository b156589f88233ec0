"""The promises of each kind of part, as checks."""

__all__: list[str] = []
