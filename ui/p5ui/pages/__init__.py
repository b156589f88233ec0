"""One module a page: TITLE, PATH and build(workspace), which draws it and connects its events."""

__all__: list[str] = []
