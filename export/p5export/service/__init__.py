"""An export behind HTTP."""

__all__: list[str] = []
