"""Parity tests of an export against its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from p5core.data.dataset import Ragged
from p5core.errors import ExportError
from p5core.evaluation.evaluator import Evaluator
from p5core.model.network_scorer import NetworkScorer
from p5export.graph.serving import Serving
from p5export.validation.near_ties import NearTies
from p5export.validation.sessions import (
    Arrays,
    ExportedScorer,
    as_array,
    open_session,
    raw_ids,
    run_session,
    unknown_id,
)
from p5export.validation.verify import close, difference, to_plain

__all__ = ["Parity", "Proof", "check_metrics", "check_parity"]

N_CASES = 64
N_GOLDEN = 12
LONGEST_BEYOND = 3
"""Histories are up to so many items longer than the model reads."""

EMPTY_BATCHES = (4, 9)
"""Cases without a row: the first with no row of candidates, the second with one."""


@dataclass(frozen=True)
class Parity:
    """The number of compared cases and the largest difference."""

    n_cases: int
    worst: float
    """largest difference of two scores"""
    golden: Mapping[str, Any]
    """file → cases, for golden.json"""


@dataclass(frozen=True)
class Proof:
    """MetricResults of the run recomputed through ONNX Runtime."""

    n_users: int
    network: Mapping[str, float]
    exported: Mapping[str, float]


def check_parity(serving: Serving, folder: Path, seed: int) -> Parity:
    """Compare random requests; raises ExportError with the first difference.

    Of a quantised file everything is compared but the values of scores: `p5export.quantisation.cost` judges those.
    """
    trial = _Trial.of(serving, folder)
    trial.check_dimensions()
    rng = np.random.default_rng(seed)
    worst = 0.0
    golden: dict[str, list[Any]] = {"model.onnx": [], "score.onnx": []}
    for number in range(N_CASES):
        request = _request(serving, rng, number)
        ranked = trial.ranking(request, _wanted(serving, rng, number))
        scored = trial.scoring(request, _candidate_rows(number, len(request.users)), rng)
        worst = max(worst, ranked.worst, scored.worst)
        if number < N_GOLDEN:
            golden["model.onnx"].append(ranked.golden)
            golden["score.onnx"].append(scored.golden)
    return Parity(N_CASES, worst, golden)


@dataclass(frozen=True, eq=False)
class _Request:
    """B histories of raw ids or B users, with their codes."""

    inputs: Arrays
    codes: list[list[int]]
    """places among the V items, unknown ones left out"""
    users: npt.NDArray[np.int32]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value.tolist()}" for name, value in self.inputs.items())


def _request(serving: Serving, rng: np.random.Generator, number: int) -> _Request:
    """Batches of 0 to 7; for histories any length, padding anywhere, duplicates, and ids that nobody knows."""
    n_rows = _rows(number)
    if serving.users is not None:
        users = rng.integers(-1, len(serving.users), n_rows).astype(np.int32)
        return _Request({"user": raw_ids(serving.users, users)}, [[] for _ in users], users)
    length = _length(number, serving.max_length)
    places = rng.integers(0, len(serving.items), (n_rows, length))
    if number % 3 == 0:
        places = rng.choice(min(3, len(serving.items)), (n_rows, length))  # the same items again and again
    places[rng.random((n_rows, length)) < rng.choice([0.0, 0.3, 0.9])] = -1
    padding = np.iinfo(np.int64).min if serving.items.kind == "int64" else ""
    other = [padding, unknown_id(serving.items.kind)]
    all_ids = serving.items.decode(np.arange(len(serving.items)))
    raw = [all_ids[place] if place >= 0 else other[int(rng.integers(2))] for place in places.ravel().tolist()]
    history = as_array(raw, serving.items.kind).reshape(n_rows, length)
    codes = [[place for place in row if place >= 0] for row in places.tolist()]
    return _Request({"history": history}, codes, np.full(n_rows, -1, dtype=np.int32))


def _rows(number: int) -> int:
    """Histories of a case; every fourth is one history for several rows of candidates."""
    if number in EMPTY_BATCHES:
        return 0
    return 1 if number % 4 == 3 else 1 + number % 7


def _candidate_rows(number: int, n_rows: int) -> int:
    """One row for all histories, several for one history, or as many as there are histories."""
    return {1: 1, 3: 2 + number % 5}.get(number % 4, n_rows)


def _length(number: int, max_length: int) -> int:
    """The special lengths first, then all of them evenly (the golden ratio's multiples fill an interval so)."""
    longest = max_length + LONGEST_BEYOND
    special = (0, longest, 1, max_length)
    return special[number] if number < len(special) else int(number * 0.6180339887 % 1 * (longest + 1))


def _wanted(serving: Serving, rng: np.random.Generator, number: int) -> int:
    """Mostly ten; now and then one, everything, or more than there is."""
    n = len(serving.allowed)
    special = {5: 1, N_GOLDEN: min(n, 2_000), N_GOLDEN + 1: n + 2 if n < 2_000 else 100}
    return special.get(number, int(rng.integers(5, 15)))


@dataclass(frozen=True)
class _Compared:
    worst: float
    golden: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _Trial:
    """Both sides of the comparison."""

    serving: Serving
    network: NetworkScorer
    model: onnxruntime.InferenceSession
    score: onnxruntime.InferenceSession

    @classmethod
    def of(cls, serving: Serving, folder: Path) -> _Trial:
        network = _scorer(serving)
        model, score = (open_session(folder / name) for name in ("model.onnx", "score.onnx"))
        return cls(serving, network, model, score)

    def check_dimensions(self) -> None:
        """A dimension that became a number would refuse every other batch and length."""
        for session in (self.model, self.score):
            for value in session.get_inputs():
                frozen = [size for size in value.shape if not isinstance(size, str)]
                if value.name != "k" and frozen:
                    raise ExportError(f"The input '{value.name}' came out with the fixed shape {value.shape}.")

    def ranking(self, request: _Request, k: int) -> _Compared:
        """Answers are the best there are by the network's scores, in order outside ties, none of them seen."""
        inputs = {**request.inputs, "k": np.array([k], dtype=np.int64)}
        outputs = run_session(self.model, inputs)
        reference = self._catalogue(request)  # (B, A)
        n = min(k, reference.shape[1])
        expected = -np.sort(-reference, axis=1)[:, :n]
        scores, items = outputs["scores"], outputs["items"]
        if scores.shape != expected.shape or np.isnan(scores).any():
            raise ExportError(f"model.onnx answers {scores} to {request}, k {k}.")
        self._assert_close("scores", request, scores, expected)
        places = self._places(items)
        if (places < 0).any() != np.isneginf(scores).any() or not (np.isneginf(scores) == (places < 0)).all():
            raise ExportError(f"model.onnx answers {items} with the scores {scores} to {request}, k {k}.")
        own = np.where(places < 0, -np.inf, np.take_along_axis(reference, np.maximum(places, 0), axis=1))
        self._assert_close("the scores of the returned items", request, scores, own)
        for row in places:
            real = row[row >= 0]
            if len(set(real.tolist())) < len(real):
                raise ExportError(f"model.onnx returns an item twice to {request}, k {k}.")
        return _Compared(difference(scores, expected), _golden(inputs, outputs))

    def scoring(self, request: _Request, n_candidate_rows: int, rng: np.random.Generator) -> _Compared:
        """Scores and predictions of candidates, known and unknown."""
        serving = self.serving
        places = rng.integers(-1, len(serving.items), (n_candidate_rows, int(rng.integers(1, 9))))
        inputs = {**request.inputs, "candidates": raw_ids(serving.items, places.ravel()).reshape(places.shape)}
        outputs = run_session(self.score, inputs)
        rows, places = np.broadcast_arrays(np.arange(len(request.users))[:, None], places)
        expected = np.where(places < 0, -np.inf, self._all_scores(request)[rows, np.maximum(places, 0)])
        self._assert_close("scores", request, outputs["scores"], expected)
        worst = difference(outputs["scores"], expected)
        for name, prediction in serving.predictions.items():
            expected_prediction = self._predictions(prediction.output.field, request, rows[:, 0], np.maximum(places, 0))
            same = np.where(places < 0, outputs[name], expected_prediction)
            if not np.isfinite(outputs[name]).all():
                raise ExportError(f"score.onnx predicts {name} {outputs[name]} for {str(request)[:300]}.")
            self._assert_close(name, request, outputs[name], same)
            worst = max(worst, difference(outputs[name], same))
        return _Compared(worst, _golden(inputs, outputs))

    def _histories(self, request: _Request) -> Ragged:
        return Ragged.of([self.serving.rows[row].tolist() for row in request.codes])

    def _all_scores(self, request: _Request) -> npt.NDArray[np.float32]:
        """(B, V) as the network scores them."""
        serving = self.serving
        if not len(request.users):
            return np.empty((0, len(serving.items)), dtype=np.float32)
        scores = self.network.scores(request.users, self._histories(request)).cpu().numpy()[:, serving.rows].copy()
        empty = (request.users < 0) if serving.users is not None else np.array([not row for row in request.codes])
        if not serving.options.popular:
            scores[empty] = -np.inf
        return scores

    def _catalogue(self, request: _Request) -> npt.NDArray[np.float32]:
        """(B, A) of the items that may be recommended, -inf for seen ones."""
        serving = self.serving
        scores = self._all_scores(request)
        if serving.options.exclude_seen:
            for row, codes in enumerate(request.codes):
                scores[row, self._seen(int(request.users[row]), codes)] = -np.inf
        return scores[:, serving.allowed]

    def _seen(self, user: int, codes: list[int]) -> list[int]:
        if self.serving.seen is None or user < 0:
            return codes
        offsets, places = self.serving.seen
        return list(places[offsets[user] : offsets[user + 1]].tolist())

    def _predictions(
        self, field: str, request: _Request, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(R, n) of the items at `places` for the request's `rows` (R,)."""
        if not len(rows):
            return np.empty(places.shape)
        targets = Ragged.of([self.serving.rows[row].tolist() for row in places])
        histories = self._histories(request).take(rows)
        predicted = self.network.predict(field, request.users[rows], histories, targets)
        assert predicted is not None
        return predicted.reshape(places.shape)

    def _places(self, items: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(B, n) places among the A items, -1 for padding."""
        codes = self.serving.items.encode(items.ravel())
        place = np.full(len(self.serving.items) + 1, -1)
        place[self.serving.allowed] = np.arange(len(self.serving.allowed))
        places: npt.NDArray[np.int64] = place[codes].reshape(items.shape)
        return places

    def _assert_close(self, what: str, request: _Request, actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
        is_exact = self.serving.options.quantize == "none"
        same = close(actual, expected) if is_exact else np.isneginf(actual) == np.isneginf(expected)
        if not same.all():
            raise ExportError(
                f"The export differs from the network: {what} are {actual[~same][:3]} and should be "
                f"{expected[~same][:3]} (largest difference {difference(actual, expected):.3g}) for "
                f"{str(request)[:300]}."
            )


def _golden(inputs: Arrays, outputs: Arrays) -> Mapping[str, Any]:
    return {
        "inputs": {name: to_plain(value) for name, value in inputs.items()},
        "outputs": {name: to_plain(value) for name, value in outputs.items()},
    }


def _scorer(serving: Serving) -> NetworkScorer:
    """The model that the export must equal."""
    return NetworkScorer(serving.network, serving.max_length, serving.blend, serving.model.tasks)


def check_metrics(serving: Serving, path: Path, evaluator: Evaluator, tolerance: float = 5e-5) -> Proof:
    """Metrics of `evaluator` for the network and for `score.onnx`; raises ExportError unless they agree.

    Where they do not, near ties may be the cause, such as items of equal content: then they must agree with those
    taken as equal.
    """
    scorers = _scorer(serving), ExportedScorer(serving, path)
    network, exported = (_values(evaluator, scorer) for scorer in scorers)
    if _differing(network, exported, tolerance):
        network_of_ties, exported_of_ties = (_values(evaluator, NearTies(scorer)) for scorer in scorers)
        for label in _differing(network_of_ties, exported_of_ties, tolerance):
            raise ExportError(
                f"Measured through ONNX Runtime {label} is {exported[label]:.6f}; the network has {network[label]:.6f}."
            )
    return Proof(len(evaluator.holdout), network, exported)


def _differing(network: Mapping[str, float], exported: Mapping[str, float], tolerance: float) -> list[str]:
    """Labels of the metrics that differ by more than the tolerance."""
    pairs = {label: (value, exported[label]) for label, value in network.items()}
    return [label for label, pair in pairs.items() if not (np.isnan(pair).all() or abs(pair[0] - pair[1]) <= tolerance)]


def _values(evaluator: Evaluator, scorer: Any) -> dict[str, float]:
    return {label: figure.value for label, figure in evaluator.results(scorer).items()}
