"""Built-in presets."""

__all__: list[str] = []
