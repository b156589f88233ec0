"""The data and the model of an experiment: gathered, started, trained, blended and measured."""

__all__: list[str] = []
