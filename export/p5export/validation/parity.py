"""Proof, before anybody gets the file, that it answers as the network does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor

from p5core.data.dataset import Ragged
from p5core.data.vocabulary import Vocabulary
from p5core.errors import ExportError
from p5core.evaluation.evaluator import Evaluator
from p5core.model.network_scorer import NetworkScorer
from p5export.graph.serving import Serving
from p5export.validation.verify import close, difference, to_plain

__all__ = ["ExportedScorer", "Parity", "Proof", "check_metrics", "check_parity", "request_of"]

N_CASES = 64
N_GOLDEN = 12
LONGEST_BEYOND = 3
"""Histories are up to so many items longer than the model reads."""

EMPTY_BATCHES = (4, 9)
"""Cases without a row: the first with no row of candidates, the second with one."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Parity:
    """What was compared, and how far apart it was."""

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
        return _Request({"user": _raw(serving.users, users)}, [[] for _ in users], users)
    length = _length(number, serving.max_length)
    places = rng.integers(0, len(serving.items), (n_rows, length))
    if number % 3 == 0:
        places = rng.choice(min(3, len(serving.items)), (n_rows, length))  # the same items again and again
    places[rng.random((n_rows, length)) < rng.choice([0.0, 0.3, 0.9])] = -1
    padding = np.iinfo(np.int64).min if serving.items.kind == "int64" else ""
    other = [padding, _unknown(serving.items.kind)]
    known = serving.items.decode(np.arange(len(serving.items)))
    raw = [known[place] if place >= 0 else other[int(rng.integers(2))] for place in places.ravel().tolist()]
    history = _array(raw, serving.items.kind).reshape(n_rows, length)
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


def _unknown(kind: str) -> int | str:
    return -987_654_321_987 if kind == "int64" else "\N{SNOWMAN} nobody has this id"


def _raw(ids: Vocabulary, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Raw ids of codes; an id that nobody has for -1."""
    return _array([ids.decode(np.array([one]))[0] if one >= 0 else _unknown(ids.kind) for one in codes], ids.kind)


def _array(raw: list[Any], kind: str) -> npt.NDArray[Any]:
    return np.array(raw, dtype=np.int64 if kind == "int64" else object)


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
        network = NetworkScorer(serving.network, serving.max_length)
        model, score = (_open(folder / name) for name in ("model.onnx", "score.onnx"))
        return cls(serving, network, model, score)

    def check_dimensions(self) -> None:
        """A dimension that became a number would refuse every other batch and length."""
        for session in (self.model, self.score):
            for one in session.get_inputs():
                frozen = [size for size in one.shape if not isinstance(size, str)]
                if one.name != "k" and frozen:
                    raise ExportError(f"The input '{one.name}' came out with the fixed shape {one.shape}.")

    def ranking(self, request: _Request, k: int) -> _Compared:
        """Answers are the best there are by the network's scores, in order outside ties, none of them seen."""
        inputs = {**request.inputs, "k": np.array([k], dtype=np.int64)}
        found = _run(self.model, inputs)
        reference = self._catalogue(request)  # (B, A)
        n = min(k, reference.shape[1])
        wanted = -np.sort(-reference, axis=1)[:, :n]
        scores, items = found["scores"], found["items"]
        if scores.shape != wanted.shape or np.isnan(scores).any():
            raise ExportError(f"model.onnx answers {scores} to {request}, k {k}.")
        self._assert_close("scores", request, scores, wanted)
        places = self._places(items)
        if (places < 0).any() != np.isneginf(scores).any() or not (np.isneginf(scores) == (places < 0)).all():
            raise ExportError(f"model.onnx answers {items} with the scores {scores} to {request}, k {k}.")
        own = np.where(places < 0, -np.inf, np.take_along_axis(reference, np.maximum(places, 0), axis=1))
        self._assert_close("the scores of the returned items", request, scores, own)
        for row in places:
            real = row[row >= 0]
            if len(set(real.tolist())) < len(real):
                raise ExportError(f"model.onnx returns an item twice to {request}, k {k}.")
        return _Compared(difference(scores, wanted), _golden(inputs, found))

    def scoring(self, request: _Request, n_candidate_rows: int, rng: np.random.Generator) -> _Compared:
        """Scores and ratings of candidates, known and unknown."""
        serving = self.serving
        places = rng.integers(-1, len(serving.items), (n_candidate_rows, int(rng.integers(1, 9))))
        inputs = {**request.inputs, "candidates": _raw(serving.items, places.ravel()).reshape(places.shape)}
        found = _run(self.score, inputs)
        rows, places = np.broadcast_arrays(np.arange(len(request.users))[:, None], places)
        wanted = np.where(places < 0, -np.inf, self._all_scores(request)[rows, np.maximum(places, 0)])
        self._assert_close("scores", request, found["scores"], wanted)
        worst = difference(found["scores"], wanted)
        if serving.has_ratings:
            known = self._ratings(request, rows[:, 0], np.maximum(places, 0))
            same = np.where(places < 0, found["ratings"], known)
            self._assert_close("ratings", request, found["ratings"], same)
            worst = max(worst, difference(found["ratings"], same))
        return _Compared(worst, _golden(inputs, found))

    def _histories(self, request: _Request) -> Ragged:
        return Ragged.of([self.serving.rows[row].tolist() for row in request.codes])

    def _all_scores(self, request: _Request) -> npt.NDArray[np.float32]:
        """(B, V) as the network scores them."""
        serving = self.serving
        if not len(request.users):
            return np.empty((0, len(serving.items)), dtype=np.float32)
        scores = self.network.scores(request.users, self._histories(request)).numpy()[:, serving.rows].copy()
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

    def _ratings(
        self, request: _Request, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(R, n) of the items at `places` for the request's `rows` (R,)."""
        if not len(rows):
            return np.empty(places.shape)
        targets = Ragged.of([self.serving.rows[row].tolist() for row in places])
        histories = self._histories(request).take(rows)
        return self.network.ratings(request.users[rows], histories, targets).reshape(places.shape)

    def _places(self, items: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(B, n) places among the A items, -1 for padding."""
        codes = self.serving.items.encode(items.ravel())
        place = np.full(len(self.serving.items) + 1, -1)
        place[self.serving.allowed] = np.arange(len(self.serving.allowed))
        found: npt.NDArray[np.int64] = place[codes].reshape(items.shape)
        return found

    def _assert_close(self, what: str, request: _Request, found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
        is_exact = self.serving.options.quantize == "none"
        same = close(found, wanted) if is_exact else np.isneginf(found) == np.isneginf(wanted)
        if not same.all():
            raise ExportError(
                f"The export differs from the network: {what} are {found[~same][:3]} and should be "
                f"{wanted[~same][:3]} (largest difference {difference(found, wanted):.3g}) for {str(request)[:300]}."
            )


def _open(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, inputs: Arrays) -> Arrays:
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))


def _golden(inputs: Arrays, outputs: Arrays) -> Mapping[str, Any]:
    return {
        "inputs": {name: to_plain(value) for name, value in inputs.items()},
        "outputs": {name: to_plain(value) for name, value in outputs.items()},
    }


class ExportedScorer:
    """`score.onnx` as a scorer of the run's catalogue, so that the run's own metrics can be computed from it."""

    def __init__(self, serving: Serving, path: Path) -> None:
        self._serving = serving
        self._session = _open(path)
        self._everything = _raw(serving.items, np.arange(len(serving.items)))[None]
        self._n_items = serving.network.table.n_items

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) scores, -inf for items of other domains."""
        serving = self._serving
        scores = np.full((len(users), self._n_items), -np.inf, dtype=np.float32)
        for row in range(len(users)):
            inputs = {**request_of(self._serving, users[row : row + 1], histories[row]), "candidates": self._everything}
            scores[row, serving.rows] = _run(self._session, inputs)["scores"][0]
        return torch.from_numpy(scores)

    def ratings(self, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> npt.NDArray[np.float64]:
        """(n_targets,) predicted ratings."""
        found = []
        for row in range(len(users)):
            wanted = _raw(self._serving.items, _places(self._serving, targets[row]))[None]
            inputs = {**request_of(self._serving, users[row : row + 1], histories[row]), "candidates": wanted}
            found.append(_run(self._session, inputs)["ratings"][0])
        return np.concatenate(found).astype(np.float64)


def request_of(serving: Serving, user: npt.NDArray[np.int32], history: npt.NDArray[np.int32]) -> Arrays:
    """What one user (1,) with a history of catalogue codes (n,) is asked with."""
    if serving.users is not None:
        return {"user": _raw(serving.users, user)}
    places = _places(serving, history)
    return {"history": _raw(serving.items, places[places >= 0]).reshape(1, -1)}


def _places(serving: Serving, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Places among the V items of catalogue codes, -1 for those of other domains."""
    places = np.minimum(np.searchsorted(serving.rows, codes), len(serving.rows) - 1)
    found: npt.NDArray[np.int64] = np.where(serving.rows[places] == codes, places, -1)
    return found


def check_metrics(serving: Serving, path: Path, evaluator: Evaluator, tolerance: float = 5e-5) -> Proof:
    """Figures of `evaluator` by the network and by `score.onnx`; raises ExportError unless they agree to 4 decimals."""
    network = _values(evaluator, NetworkScorer(serving.network, serving.max_length))
    exported = _values(evaluator, ExportedScorer(serving, path))
    for label, value in network.items():
        other = exported[label]
        if not (np.isnan(value) and np.isnan(other)) and not abs(value - other) <= tolerance:
            raise ExportError(f"Measured through ONNX Runtime {label} is {other:.6f}; the network has {value:.6f}.")
    return Proof(len(evaluator.holdout), network, exported)


def _values(evaluator: Evaluator, scorer: Any) -> dict[str, float]:
    return {label: figure.value for label, figure in evaluator.figures(scorer).items()}
