"""Words weighted by their rarity, and the main directions of those weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["WORD", "Words", "fit_words"]

WORD = r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+"
"""Letters and digits; each character of Chinese and Japanese, which put no spaces between words."""

MOST_WORDS = 50_000
"""Of the most frequent ones, so that the stored directions stay below 60 MB."""

TEXTS_FITTED = 100_000
"""Texts by which the directions are found, evenly spaced among all: more hardly turn them, and cost memory."""

TEXTS_AT_ONCE = 65_536

Floats = npt.NDArray[np.float32]


class Words:
    """Latent semantic analysis: tf-idf (doi 10.1016/0306-4573(88)90021-0) and its largest singular directions."""

    def __init__(self, words: Sequence[str], rarity: Floats, directions: Floats) -> None:
        """`words` (n,) with their inverse document frequency (n,) and the `directions` (d, n)."""
        self.words, self.rarity, self.directions = words, rarity, directions

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(N, d) the texts; zero for one without a word that is in the list."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            token_pattern=WORD, sublinear_tf=True, vocabulary={word: code for code, word in enumerate(self.words)}
        )
        vectorizer.idf_ = self.rarity
        vectors = np.empty((len(texts), len(self.directions)), dtype=np.float32)
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            weighted: csr_matrix = vectorizer.transform(texts[first : first + TEXTS_AT_ONCE])
            vectors[first : first + TEXTS_AT_ONCE] = weighted @ self.directions.T
        return vectors


def fit_words(texts: Sequence[str], dimension: int) -> Words:
    """The words of the texts, of which there must be one, and at most `dimension` directions."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True, max_features=MOST_WORDS)
    vectorizer.fit(texts)
    weighted = vectorizer.transform(texts[:: -(-len(texts) // TEXTS_FITTED)])
    n_words = weighted.shape[1]
    if n_words <= dimension:
        directions = np.eye(n_words)
    else:
        svd = TruncatedSVD(n_components=min(dimension, weighted.shape[0]), random_state=0)
        directions = svd.fit(weighted).components_
    return Words(
        vectorizer.get_feature_names_out().tolist(),
        vectorizer.idf_.astype(np.float32),
        np.ascontiguousarray(directions, dtype=np.float32),
    )
