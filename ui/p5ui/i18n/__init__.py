"""Messages in English and Chinese."""

__all__: list[str] = []
