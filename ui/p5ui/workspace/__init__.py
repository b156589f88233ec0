"""The working folder of the interface: uploads, drafts, caches."""

__all__: list[str] = []
