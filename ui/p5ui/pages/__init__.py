"""One module a page: TITLE, PATH and build(studio), which draws it and connects its events."""

__all__: list[str] = []
