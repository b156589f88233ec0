"""The network that the core owns."""

__all__: list[str] = []
