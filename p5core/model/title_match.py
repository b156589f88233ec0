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
TRAILING_ARTICLE = re.compile(rf"^(.*?),\s+({ARTICLES})(?=\s*(?:[\[(]|$))")
PUNCTUATION = re.compile(
    r"[^\w\s+#%$€£.\u0300-\u1fff\u2c00-\u2fff\u3040-\U0010ffff-]|_|(?<!\d)\.|\.(?!\d)|(?<=\w)-|-(?!\d)"
)
"""Signs that tell no titles apart: C++, C#, 1.5 and -5 keep theirs."""

ACCENTS = re.compile(r"([a-z\u0370-\u03ff\u0400-\u04ff])[\u0300-\u036f]+")


def match_by_title(
    catalogue: Catalogue, known: Catalogue, is_target: npt.NDArray[np.bool_]
) -> tuple[pd.MultiIndex, npt.NDArray[np.bool_]]:
    """(V,) labels of the items of a catalogue, and which of them are those of a known item with the same title.

    Items that are known by domain and id keep their labels; a title that several items of either catalogue have matches
    nothing. `is_target` (V,) are the items of the data; others came with what is known. Raises DataError where one of
    the catalogues has no titles.
    """
    for which, either in (("The data", catalogue), ("The run or base to start from", known)):
        if TITLE not in either.frame:
            raise DataError(f"{which} has no titles, so items cannot be matched by them. Set match = 'id'.")
    new = np.flatnonzero(~catalogue.index.isin(known.index) & is_target)
    titles, known_titles = (pd.Index(_plain_titles(frame)) for frame in (catalogue.frame.iloc[new], known.frame))
    is_taken = known.index.isin(catalogue.index[is_target])
    single = np.flatnonzero(~known_titles.duplicated(keep=False) & (known_titles != "") & ~is_taken)
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
    """In lower case, without punctuation and Latin, Greek and Cyrillic accents, an article at the end put first."""
    plain = unicodedata.normalize("NFKD", TRAILING_ARTICLE.sub(r"\2 \1", title.casefold()))
    return " ".join(PUNCTUATION.sub(" ", ACCENTS.sub(r"\1", plain)).split())
