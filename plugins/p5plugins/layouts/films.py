"""Films and jokes: ratings in forms that are no table."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa

from p5core.data.columns import ITEM, TITLE
from p5core.data.raw import RawData
from p5core.errors import DataError
from p5plugins.layouts.fetched import Fetched
from p5plugins.layouts.published import Published, Variant
from p5plugins.loaders.table import Table, TableConfig

__all__ = ["Jester", "Netflix"]

MISSING = 99.0
"""Jester's mark of a joke without a rating."""


def _read_netflix(files: list[Path], scratch: Path) -> RawData:
    """Blocks of "film:" and lines of user, rating and date, as one table."""
    target = scratch / "netflix.csv"
    with target.open("w", encoding="utf-8") as out:
        out.write("user,item,rating,timestamp\n")
        for file in files:
            film = ""
            with pa.input_stream(str(file), compression="detect") as stream:
                for number, line in enumerate(stream.read().decode("latin-1").splitlines(), start=1):
                    if line.endswith(":"):
                        film = line[:-1]
                    elif line.strip():
                        cells = line.split(",")
                        if not film or len(cells) != 3:
                            raise DataError(
                                f"{file.name}, line {number}: {line!r} is neither 'film:' nor user,rating,date."
                            )
                        out.write(f"{cells[0]},{film},{cells[1]},{cells[2]}\n")
    raw = Table(TableConfig(path=target, timestamp="timestamp")).load()
    folders = (files[0].parent, files[0].parent.parent)  # the titles lie beside the folder of a file a film
    titles = next((title for folder in folders for title in sorted(folder.glob("movie_titles*"))), None)
    return RawData(raw.interactions, items=_netflix_titles(titles) if titles else None, notes=raw.notes, header_rows=1)


def _netflix_titles(file: Path) -> pd.DataFrame:
    """Titles may hold commas, which nothing quotes."""
    rows = [line.split(",", 2) for line in file.read_text(encoding="latin-1").splitlines() if line.strip()]
    years = pd.to_numeric(pd.Series([row[1] for row in rows]), errors="coerce").astype("Int64")
    return pd.DataFrame({ITEM: [int(row[0]) for row in rows], TITLE: [row[2] for row in rows], "year": years})


class Netflix(Published):
    """Netflix Prize: dated ratings in blocks of films, with titles and years (2006)."""

    name = "netflix"
    home = "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data"
    variants = {
        "combined": Variant("combined_data_*.txt*", begins=r"\d+:\s*$", convert=_read_netflix),
        "a file a film": Variant("training_set/mv_*.txt", begins=r"\d+:\s*$", convert=_read_netflix),
        "files": Variant("mv_*.txt*", begins=r"\d+:\s*$", convert=_read_netflix),
    }


def _read_jester(files: list[Path], scratch: Path) -> RawData:
    """A row a user: the number of ratings, then one rating a joke, 99 where there is none."""
    target = scratch / "jester.csv"
    user = 0
    with target.open("w", encoding="utf-8") as out:
        out.write("user,item,rating\n")
        for file in files:
            for cells in _wide_rows(file):
                user += 1
                for joke, cell in enumerate(cells[1:], start=1):
                    if cell.strip() and float(cell) != MISSING:
                        out.write(f"{user},{joke},{cell}\n")
    return Table(TableConfig(path=target, rating="rating")).load()


def _wide_rows(file: Path) -> list[list[str]]:
    if file.suffix in (".xls", ".xlsx"):
        try:
            frame = pd.read_excel(file, header=None, engine="calamine")
        except ImportError:
            raise DataError(f"{file} needs python-calamine: pip install 'p5rec[excel]'.") from None
        return [[str(cell) for cell in row] for row in frame.to_numpy()]
    with file.open(encoding="utf-8-sig", newline="") as text:
        return [row for row in csv.reader(text) if row and re.fullmatch(r"\s*\d+(\.0+)?\s*", row[0])]


class Jester(Fetched):
    """Jester: ratings of jokes from -10 to 10 as a matrix (Goldberg et al., doi 10.1023/A:1011419012209)."""

    name = "jester"
    home = "https://eigentaste.berkeley.edu/dataset/"
    variants = {
        "matrix": Variant("*jester*.[xc]*", begins=r"\s*\d+(,\s*-?\d+(\.\d+)?){20,}|^$", convert=_read_jester),
        "data set 1": Variant("jester-data-*.[xc]*", begins=r"\s*\d+(,\s*-?\d+(\.\d+)?){20,}|^$", convert=_read_jester),
    }
