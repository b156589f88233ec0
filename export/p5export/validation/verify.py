"""Verification of an export by its hashes and golden cases, with onnxruntime and numpy alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from p5core.errors import ExportError
from p5core.system.files import read_json
from p5export.bundle.bundle import Bundle, opened
from p5export.bundle.signature import check_form

__all__ = [
    "EXACT",
    "QUANTIZED",
    "Verified",
    "close",
    "difference",
    "from_plain",
    "main",
    "sentence_of",
    "to_plain",
    "verify",
]

Arrays = dict[str, npt.NDArray[Any]]

EXACT = {"relative": 1e-4, "absolute": 1e-5}
"""Tolerance of scores that count as equal."""

QUANTIZED = {"relative": 0.05, "absolute": 0.05}
"""The same for scores in 8 bits, which processors round differently."""


@dataclass(frozen=True)
class Verified:
    """The number of cases and the largest difference."""

    n_cases: int
    worst: float
    """largest difference of two scores"""
    is_sealed: bool
    """True if p5.json has a hash over itself"""


def verify(folder: Path) -> Verified:
    """Check the hashes, then run every golden case; raises ExportError with the first difference."""
    bundle = Bundle.load(folder)
    bundle.check()
    bundle.refuse_foreign_files()
    check_form(folder)
    worst, n_cases = 0.0, 0
    for name in ("model.onnx", "score.onnx"):
        session = _open(folder / name)
        kinds = {tensor.name: tensor.type for tensor in (*session.get_inputs(), *session.get_outputs())}
        for number, (inputs, expected) in enumerate(_golden(folder / "golden.json", name, kinds)):
            outputs = dict(
                zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True)
            )
            worst = max(
                worst, _compare(f"{name}, golden case {number}", outputs, expected, bundle.manifest["tolerance"])
            )
            n_cases += 1
    if not n_cases:
        raise ExportError(f"{folder}/golden.json holds no cases.")
    return Verified(n_cases, worst, bundle.is_sealed)


def _golden(path: Path, name: str, kinds: Mapping[str, str]) -> list[tuple[Arrays, Arrays]]:
    """Inputs and outputs of the cases of one file; raises ExportError when they cannot be read."""
    try:
        return [
            (
                {key: from_plain(value, kinds[key]) for key, value in case["inputs"].items()},
                {key: from_plain(value, kinds[key]) for key, value in case["outputs"].items()},
            )
            for case in read_json(path)[name]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ExportError(f"{path} cannot be read; the file is damaged. Export the run again.") from None


def _open(path: Path) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot open {path}: {error}") from error


def _compare(
    where: str,
    outputs: Arrays,
    expected: Arrays,
    tolerance: Mapping[str, float],
) -> float:
    """The largest difference; items may change places only where their scores are equal."""
    worst = 0.0
    for name, values in expected.items():
        if outputs[name].shape != values.shape:
            raise ExportError(f"{where}: {name} has shape {outputs[name].shape} and had {values.shape}.")
        if values.dtype == np.float32:
            same = close(outputs[name], values, tolerance)
            if not same.all():
                place = tuple(int(places[0]) for places in np.nonzero(~same))
                raise ExportError(f"{where}: {name}{list(place)} is {outputs[name][place]} and was {values[place]}.")
            worst = max(worst, difference(outputs[name], values))
    for name, values in expected.items():
        if values.dtype != np.float32:
            moved = (outputs[name] != values) & ~_tied(expected["scores"], tolerance)
            if moved.any():
                place = tuple(int(places[0]) for places in np.nonzero(moved))
                raise ExportError(
                    f"{where}: {name}{list(place)} is {outputs[name][place]!r} and was {values[place]!r}."
                )
    return worst


def close(
    actual: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: Mapping[str, float] = EXACT
) -> npt.NDArray[np.bool_]:
    """Elementwise equality within tolerance; infinities equal only themselves."""
    same: npt.NDArray[np.bool_] = np.isclose(actual, expected, rtol=tolerance["relative"], atol=tolerance["absolute"])
    return same


def difference(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The largest difference of finite values."""
    finite = np.isfinite(actual) & np.isfinite(expected)
    return float(np.abs(actual[finite] - expected[finite]).max(initial=0.0))


def _tied(scores: npt.NDArray[Any], tolerance: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """(B, k) where a neighbour in the list, or what was cut off behind it, may have the same score."""
    tied = np.zeros(scores.shape, dtype=np.bool_)
    same = close(scores[:, 1:], scores[:, :-1], tolerance)
    tied[:, 1:] |= same
    tied[:, :-1] |= same
    tied[:, -1:] = True
    return tied


def to_plain(values: npt.NDArray[Any]) -> list[Any] | dict[str, list[int]]:
    """As JSON: 64-bit integers are texts, since many languages read numbers as doubles; -inf is null.

    A tensor without a row is its shape, {"shape": [0, n]}, which an empty list would not tell.
    """
    if not len(values):
        return {"shape": list(values.shape)}
    if values.dtype == np.int64:
        return _nested(values, str)
    if values.dtype == np.float32:
        return _nested(values, lambda one: None if one == -np.inf else float(one))
    return list(values.tolist())


def _nested(values: npt.NDArray[Any], convert: Any) -> list[Any]:
    return [_nested(value, convert) if isinstance(value, np.ndarray) else convert(value) for value in values]


def from_plain(values: list[Any] | dict[str, list[int]], kind: str) -> npt.NDArray[Any]:
    """The tensor that `to_plain` wrote; `kind` as ONNX Runtime names it."""
    if isinstance(values, dict):
        return np.empty(
            values["shape"], dtype={"tensor(int64)": np.int64, "tensor(float)": np.float32}.get(kind, object)
        )
    if kind == "tensor(int64)":
        shape = np.array(values, dtype=object).shape
        return np.array(values, dtype=object).astype(np.int64).reshape(shape)
    if kind == "tensor(float)":
        filled = np.array(values, dtype=np.float32)  # null becomes NaN, which no output holds
        filled[np.isnan(filled)] = -np.inf
        return filled
    return np.array(values, dtype=object)


def sentence_of(folder: Path, verified: Verified) -> str:
    """The result of a verification as text."""
    answers = f"{verified.n_cases} golden cases give the same answers (largest difference {verified.worst:.1e})."
    if verified.is_sealed:
        return f"{folder}: every file is as it was exported, and {answers}"
    return (
        f"{folder}: every file that p5.json lists is as it was exported, and {answers} Changes of p5.json itself "
        "cannot be noticed in an export of this age; export the run again to seal it."
    )


def main() -> None:
    """`python -m p5export.validation.verify FOLDER`, where P5's other dependencies are not installed."""
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python -m p5export.validation.verify FOLDER")
    try:
        with opened(sys.argv[1]) as folder:
            print(sentence_of(Path(sys.argv[1]), verify(folder)))
    except ExportError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
