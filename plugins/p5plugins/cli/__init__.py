"""Commands below `p5`."""

__all__: list[str] = []
