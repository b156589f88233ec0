"""Encoders of titles, and of vectors that another program made."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field
from torch import Tensor, nn

from p5core import Config, ConfigError, Encoder, Entities, ExpandedPath, Features

__all__ = ["VectorFile", "VectorFileConfig", "Words", "WordsConfig"]


class _Projected(Encoder):
    """Fixed vectors and a learned linear map."""

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.register_buffer("fixed", features.tensor("vectors").float(), persistent=False)
        self.linear = nn.Linear(self.fixed.shape[1], width)

    def forward(self, codes: Tensor) -> Tensor:
        vectors: Tensor = self.linear(self.fixed[codes])
        return vectors


class VectorFileConfig(Config):
    """Options of the vector file encoder."""

    path: ExpandedPath
    """CSV file: item id, then the entries of its vector."""


class VectorFile(_Projected):
    """Item vectors from a file, under a learned linear map."""

    name = "vector_file"
    Config = VectorFileConfig

    @classmethod
    def features(cls, config: VectorFileConfig, entities: Entities) -> Features:
        table = pd.read_csv(config.path, header=None, dtype={0: "str"}).set_index(0)
        if not len(table):
            raise ConfigError(f"{config.path} holds no vector.")
        found = table.reindex(entities.frame["item"].astype("str")).fillna(0.0)
        return Features(
            len(entities),
            {"vectors": found.to_numpy(dtype=np.float32)},
            about={"model": "made by hand", "revision": "1", "licence": "CC0-1.0"},
        )


class WordsConfig(Config):
    """Options of the title encoder."""

    column: str = "title"
    """Text column of the items table."""

    size: int = Field(64, ge=1)
    """Number of hash buckets."""


class Words(_Projected):
    """Hashed bag of the words of a text column, under a learned linear map."""

    name = "words"
    Config = WordsConfig

    @classmethod
    def features(cls, config: WordsConfig, entities: Entities) -> Features:
        if config.column not in entities.frame:
            raise ConfigError(f"Encoder 'words': there is no column '{config.column}'.")
        counts = np.zeros((len(entities), config.size), dtype=np.float32)
        for row, text in enumerate(entities.frame[config.column].astype("str")):
            for word in text.lower().split():
                counts[row, zlib.crc32(word.encode()) % config.size] += 1
        return Features(len(entities), {"vectors": counts})
