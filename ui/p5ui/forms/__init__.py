"""Forms drawn from the options of parts."""

__all__: list[str] = []
