"""The search for options: which ones, trial after trial, and what was found."""

__all__: list[str] = []
