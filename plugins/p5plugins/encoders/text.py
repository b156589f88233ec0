"""Vectors from texts: titles, descriptions, brands."""

from __future__ import annotations

from p5core.contracts.encoder import Features
from p5core.data.catalogue import Entities
from p5plugins.encoders.projected import ProjectedVectors
from p5plugins.texts.vectors import TextConfig, text_features

__all__ = ["Text"]


class Text(ProjectedVectors):
    """Linear map of frozen text vectors, which starts as the identity; an item without text has a learned vector."""

    name = "text"
    Config = TextConfig

    @classmethod
    def features(cls, config: TextConfig, entities: Entities) -> Features:
        """The text vectors, computed once."""
        return text_features(config, entities, f"encoder {cls.name}")

    @classmethod
    def extend(cls, config: TextConfig, entities: Entities, base: Features) -> Features:
        """Text vectors by the words and the whitening of `base`."""
        return text_features(config, entities, f"encoder {cls.name}", base)
