"""Run folders and the jobs that write them."""

__all__: list[str] = []
