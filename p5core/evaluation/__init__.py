"""Evaluation: ranking, metrics, intervals and tests."""

__all__: list[str] = []
