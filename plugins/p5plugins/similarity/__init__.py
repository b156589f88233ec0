"""Similarities of items, and the models made of them."""

__all__: list[str] = []
