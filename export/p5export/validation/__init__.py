"""Proof that an export equals the network that it was made from."""

__all__: list[str] = []
