"""MovieLens-1M as sequences, split into files as gSASRec (arXiv 2308.07192) publishes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import DOMAIN, ITEM, TIMESTAMP, USER
from p5core.data.raw import RawData
from p5core.data.tables.files import find_files
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["read_sequences"]


def read_sequences(
    folder: Path, items: pd.DataFrame, users: pd.DataFrame | None, domain: str | None, *, gapless: bool = False
) -> RawData:
    """Put the histories together again, under the ids of MovieLens.

    `train/input.txt` holds the history of each user without its last two items and `test/output.txt` the last one. The
    last but one is kept for the validation users alone, whose lines in `val/input.txt` go one item further than in
    `train/input.txt`; it is missing for all others. `gapless` leaves their last item out as well.
    """
    parts = folder / "gsasrec"
    histories = _lines(parts / "train" / "input.txt")
    place = {tuple(line): number for number, line in enumerate(histories)}
    is_longer = [False] * len(histories)
    for line, target in _pairs(_lines(parts / "val" / "input.txt"), parts / "val" / "output.txt"):
        number = place.get(tuple(line[:-1]))
        if number is not None:
            histories[number] = line + target
            is_longer[number] = True
    lasts = _pairs(histories, parts / "test" / "output.txt")
    histories = [
        line + last if longer or not gapless else line for (line, last), longer in zip(lasts, is_longer, strict=True)
    ]
    lengths = np.array([len(line) for line in histories])
    events = pd.DataFrame(
        {
            USER: np.repeat(_originals(folder / "sas_to_original_users.txt")[1 : len(lengths) + 1], lengths),
            ITEM: _originals(folder / "sas_to_original_items.txt")[np.concatenate(histories).astype(np.int64)],
            TIMESTAMP: np.concatenate([np.arange(length) for length in lengths]),
        }
    )
    events = events.assign(**{DOMAIN: domain}) if domain else events
    note = _note(is_longer.count(False), gapless)
    return RawData(events, items=items, users=users, time_unit="step", notes=(note,))


def _note(n_missing: int, gapless: bool) -> str:
    """A caveat for comparing figures."""
    if gapless:
        note = "{users} users lack their last but one item in this copy; their histories end before it"
    else:
        note = "the last but one item of {users} users is missing in this copy; figures do not compare with others"
    return Message(note, users=f"{n_missing:,}")


def _pairs(lines: list[list[int]], path: Path) -> Iterable[tuple[list[int], list[int]]]:
    """Lines with those of a second file."""
    others = _lines(path)
    if len(lines) != len(others):
        raise DataError(f"{path} has {len(others):,} lines where {len(lines):,} are expected. Is the folder complete?")
    return zip(lines, others, strict=True)


def _lines(path: Path) -> list[list[int]]:
    (file,) = find_files(path)
    lines = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            lines.append([int(word) for word in line.split()])
        except ValueError:
            raise DataError(f"{path}, line {number}: numbers with spaces between are expected.") from None
    return lines


def _originals(path: Path) -> npt.NDArray[np.int64]:
    """Original id by number, from lines of number and id."""
    pairs = np.array(_lines(path), dtype=np.int64)
    originals = np.zeros(pairs[:, 0].max() + 1, dtype=np.int64)
    originals[pairs[:, 0]] = pairs[:, 1]
    return originals
