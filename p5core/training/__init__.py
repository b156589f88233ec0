"""The training loop."""

__all__: list[str] = []
