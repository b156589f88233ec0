"""Items of two catalogues that have the same title."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.columns import TITLE
from p5core.errors import DataError

__all__ = ["match_by_title"]

ARTICLES = "the|a|an|le|la|les|l'|un|une|der|die|das|el|los|las|il|lo|gli"
TRAILING_ARTICLE = re.compile(rf"^(.*?),\s+({ARTICLES})(?=\s*(?:\(|$))")


def match_by_title(catalogue: Catalogue, known: Catalogue) -> tuple[pd.MultiIndex, npt.NDArray[np.bool_]]:
    """(V,) labels of the items of a catalogue, and which of them are those of a known item with the same title.

    Items that are known by domain and id keep their labels; a title that several items have matches nothing. Raises
    DataError where one of the catalogues has no titles.
    """
    for which, either in (("The data", catalogue), ("The run or base to start from", known)):
        if TITLE not in either.frame:
            raise DataError(f"{which} has no titles, so items cannot be matched by them. Set match = 'id'.")
    new = np.flatnonzero(~catalogue.index.isin(known.index))
    titles, known_titles = (pd.Index(_plain_titles(frame)) for frame in (catalogue.frame.iloc[new], known.frame))
    single = np.flatnonzero(~known_titles.duplicated(keep=False) & (known_titles != ""))
    places = known_titles[single].get_indexer(titles)
    places[titles.duplicated(keep=False)] = -1
    is_matched = np.zeros(len(catalogue), dtype=np.bool_)
    is_matched[new[places >= 0]] = True
    labels = catalogue.index.to_frame(index=False).astype(object)
    of_known = known.index.to_frame(index=False).astype(object).iloc[single[places[places >= 0]]]
    labels.loc[is_matched] = of_known.to_numpy()
    return pd.MultiIndex.from_frame(labels), is_matched


def _plain_titles(frame: pd.DataFrame) -> list[str]:
    return [_plain_title(title) if isinstance(title, str) else "" for title in frame[TITLE]]


def _plain_title(title: str) -> str:
    """Its words in lower case without accents, an article at the end put first: "Matrix, The (1999)"."""
    plain = unicodedata.normalize("NFKD", TRAILING_ARTICLE.sub(r"\2 \1", title.casefold()))
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(re.findall(r"\w+", letters))
