"""From a trained recommender to one file that takes raw ids and returns raw ids."""

__all__: list[str] = []
