"""Error messages for data that DuckDB refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from p5core.errors import DataError

__all__ = ["json_fault", "read_fault"]


def read_fault(source: str, error: duckdb.Error) -> DataError:
    """Explain why a file could not be read, with its line and column where DuckDB tells them."""
    text = str(error)
    file = re.search(r"^\s*file = (.+)$", text, re.MULTILINE)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    place = Path(file.group(1)).name if file else source
    place += f", line {line.group(1)}" if line else ""
    if "unicode" in text or "utf-8 encoded" in text:
        return DataError(f"{place}: not valid UTF-8. Set encoding, such as encoding = 'cp1252', or 'gbk'.")
    if counts := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return DataError(
            f"{place}: {counts.group(2)} columns where {counts.group(1)} are expected. Check this line and the "
            "separator."
        )
    if "unterminated quote" in text:
        return DataError(
            f"{place}: a quotation mark is not closed. Repair the line, or set quote = '' to take it as text."
        )
    if cast := re.search(r'reading file "(.+?)": failed to cast column "(.+?)" from type (.+?) to (.+?):', text):
        return DataError(
            f"{Path(cast[1]).name}: column '{cast[2]}' is {cast[3]} here and {cast[4]} in other files. Write the files "
            "anew with one type."
        )
    if "Parquet file" in text or "magic bytes" in text:
        return DataError(f"{place} is no Parquet file or is damaged. Check the path, or write the file anew.")
    if "state machine" in text:
        return DataError(f"{place} cannot be read: line ends or quotation marks are mixed. Bring them to one kind.")
    words = re.sub(r"^[A-Z][\w ]+ Error: ", "", text.strip().splitlines()[0]).rstrip(". ")
    return DataError(f"{place} cannot be read: {words}.")


def json_fault(files: Sequence[Path], source: str, error: duckdb.Error) -> DataError:
    """Explain why JSON lines could not be read: DuckDB counts lines otherwise than an editor, so look for it."""
    for file in files:
        with pa.input_stream(str(file), compression="detect") as stream:
            for number, line in enumerate(stream.read().splitlines(), start=1):
                fault = _line_fault(line)
                if fault:
                    return DataError(
                        f"{file.name}, line {number}: {fault}. Repair or remove the line, or leave such lines "
                        "out with on_error = 'drop'."
                    )
    return read_fault(source, error)


def _line_fault(line: bytes) -> str | None:
    try:
        json.loads(line.decode("utf-8") or "null")
    except UnicodeDecodeError:
        return "not valid UTF-8"
    except json.JSONDecodeError as error:
        return f"malformed JSON at column {error.colno} ({error.msg})"
    return None
