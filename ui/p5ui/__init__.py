"""The web interface: from a log to a recommender without writing code."""

__all__: list[str] = []
