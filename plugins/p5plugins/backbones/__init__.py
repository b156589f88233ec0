"""Built-in backbones."""

__all__: list[str] = []
