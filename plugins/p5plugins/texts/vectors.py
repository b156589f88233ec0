"""The vectors of the texts of items or users: read by a model, then whitened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from p5core.config.base import Config, ExpandedPath
from p5core.contracts.encoder import Features
from p5core.data.catalogue import Entities
from p5core.errors import ConfigError
from p5plugins.texts.joined import joined_texts
from p5plugins.texts.tfidf import Words, fit_words
from p5plugins.texts.transformer import minilm_folder, transformer_provenance, transformer_vectors
from p5plugins.texts.whitening import Whitening, fit_whitening, unit_rows
from p5plugins.texts.wordllama import wordllama_provenance, wordllama_vectors

__all__ = ["TextConfig", "text_features"]

Floats = npt.NDArray[np.float32]


class TextConfig(Config):
    """Options of text vectors."""

    columns: list[str] = Field(min_length=1)
    """Text columns, joined in this order; "title" is one of them."""

    model: Literal["tfidf", "wordllama", "minilm", "folder"] = "tfidf"
    """Model that turns a text into a vector; "tfidf" needs no extra package."""

    folder: ExpandedPath | None = None
    """Folder of a sentence-transformers or Hugging Face model, for model = "folder"."""

    dimension: int = Field(256, ge=1, le=4096)
    """Largest dimension of the text vectors; longer ones keep their main directions."""

    whiten: bool = True
    """Scale all directions of the text vectors to equal variance."""

    @model_validator(mode="after")
    def _folder_with_its_model(self) -> TextConfig:
        if (self.model == "folder") != (self.folder is not None):
            raise ValueError('model = "folder" and the option folder go together')
        return self


def text_features(config: TextConfig, entities: Entities, part: str, base: Features | None = None) -> Features:
    """Features with `vectors` (N, d), rows of length 1, or zero for an entity without text.

    With `base`, the features of some of these entities, words and whitening are those of `base`, so that the vectors
    are comparable with it. Raises ConfigError and DataError as `joined_texts` does, ConfigError where those of `base`
    were computed in another way.
    """
    texts = joined_texts(entities, config.columns, part)
    about = _provenance(config)
    if base is not None:
        _refuse_other(dict(base.about), about, part)
    words = _words(config, texts, base)
    raw = words.vectors(texts) if words is not None else _read(config, texts)
    is_read = raw.any(axis=1)
    whitening = _whitening(config, raw[is_read], base)
    vectors = unit_rows(whitening.apply(raw))
    vectors[~is_read] = 0
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "vectors": vectors, "mean": whitening.mean, "rotation": whitening.rotation,
    }  # fmt: skip
    if words is None:
        return Features(len(entities), arrays, about=about)
    arrays |= {"rarity": words.rarity, "directions": words.directions}
    return Features(len(entities), arrays, {"words": words.words}, about)


def _refuse_other(before: dict[str, str], now: dict[str, str], part: str) -> None:
    """Raise ConfigError for vectors that trained weights cannot read."""
    for name in now:
        if before.get(name) != now[name]:
            raise ConfigError(
                f"{part}: the weights were trained with {name} = {before.get(name)!r}, and here it is {now[name]!r}. "
                "Give it the same options and the same model, or train anew."
            )


def _words(config: TextConfig, texts: Sequence[str], base: Features | None) -> Words | None:
    """The words of tf-idf, those of `base` where it has some; None for another model."""
    if config.model != "tfidf":
        return None
    if base is None:
        return fit_words(texts, config.dimension)
    return Words(base.labels["words"], _array(base, "rarity"), _array(base, "directions"))


def _whitening(config: TextConfig, vectors: Floats, base: Features | None) -> Whitening:
    if base is not None:
        return Whitening(_array(base, "mean"), _array(base, "rotation"))
    return fit_whitening(vectors, config.dimension, scaled=config.whiten)


def _array(features: Features, name: str) -> Floats:
    return np.asarray(features.arrays[name], dtype=np.float32)


def _read(config: TextConfig, texts: Sequence[str]) -> Floats:
    if config.model == "wordllama":
        return wordllama_vectors(texts)
    return transformer_vectors(texts, config.folder or minilm_folder())


def _provenance(config: TextConfig) -> dict[str, str]:
    """Everything that the vectors depend on beside the texts."""
    columns = {"columns": ", ".join(config.columns), "whiten": str(config.whiten), "dimension": str(config.dimension)}
    if config.model == "tfidf":
        return {"model": "tfidf", **columns}
    if config.model == "wordllama":
        return {**wordllama_provenance(), **columns}
    return {**transformer_provenance(config.folder or minilm_folder()), **columns}
