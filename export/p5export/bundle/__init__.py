"""The folder of an export: its files, manifest and model card."""

__all__: list[str] = []
