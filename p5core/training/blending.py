"""Choosing how a network is blended with scorers, on validation events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.metric import Metric
from p5core.contracts.scorer import Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5core.evaluation.evaluator import Evaluator
from p5core.model.blend import Blend
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.plugins.status import Chosen

__all__ = ["WEIGHTS", "choose_blend"]

WEIGHTS = (
    *((1.0, weight) for weight in (0.0, 0.25, 0.5, 0.7, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 8.0, 13.0)),
    (0.0, 1.0),
)
"""(weight of the blend so far, weight of the next scorer) to choose from; each alone is among them."""

FIRST_USERS = 5_000
"""Users by whom the options of a scorer are chosen; by all of them its weight."""

USERS_AT_ONCE = 256
"""At most; fewer where their scores would take more memory than the evaluation may."""

Say = Callable[[str], None]


def choose_blend(
    network: Network,
    chosen: Sequence[Chosen],
    train: Events,
    catalogue: Catalogue,
    evaluator: Evaluator,
    watch: Metric,
    say: Say,
) -> Blend:
    """Fit scorers and add them to the network's scores one after the other, each by its best weight.

    For each scorer first the options that are best alone are chosen, then those whose blend is the best, and its
    weight. As the network and the scorer alone are among the blends, the result is not worse there than the better.
    """
    blend = Blend([], (1.0,))
    for spec in chosen:
        blend = _with_scorer(network, blend, spec, train, catalogue, evaluator, watch, say)
    return blend


def _with_scorer(
    network: Network,
    blend: Blend,
    chosen: Chosen,
    train: Events,
    catalogue: Catalogue,
    evaluator: Evaluator,
    watch: Metric,
    say: Say,
) -> Blend:
    sign = 1 if watch.higher_is_better else -1
    first = evaluator.of(evaluator.holdout.sample(FIRST_USERS, np.random.default_rng(evaluator.seed)))
    config = _best_alone(chosen, train, catalogue, first, watch, say)
    best: tuple[float, Scorer, list[float]] | None = None
    for scorer in chosen.part.fit_for_blend(config, train, catalogue):
        values = _blended(network, _extended(blend, scorer), first, watch.label)
        place = _best(sign * np.array(values))
        say(
            f"{chosen.part.name} with {_options(scorer, chosen)}: {watch.label} {values[place]:.4f} "
            f"({_name(place, chosen)})"
        )
        if best is None or sign * values[place] > sign * best[0]:
            best = (values[place], scorer, values)
    assert best is not None
    _, scorer, values = best
    if len(first.holdout) < len(evaluator.holdout):
        values = _blended(network, _extended(blend, scorer), evaluator, watch.label)
    place = _best(sign * np.array(values))
    figures = ", ".join(f"{_name(nth, chosen)} {figure:.4f}" for nth, figure in enumerate(values))
    say(f"{watch.label} on validation events: {figures}; chosen: {_name(place, chosen)}")
    return _extended(blend, scorer).with_weights(_weights(blend, place))


def _best_alone(
    chosen: Chosen, train: Events, catalogue: Catalogue, evaluator: Evaluator, watch: Metric, say: Say
) -> object:
    """The options that are best without the network."""
    sign = 1 if watch.higher_is_better else -1
    configs, figures = [], []
    for scorer in chosen.part.fit_variants(chosen.config, train, catalogue):
        configs.append(scorer.config)
        figures.append(evaluator.values(scorer)[watch.label])
    place = _best(sign * np.array(figures))
    if len(figures) > 1:
        values = ", ".join(f"{value:.4f}" for value in figures)
        say(
            f"{chosen.part.name}: {watch.label} of {len(figures)} variants on validation events: {values}; "
            f"chosen: {place + 1}"
        )
    return configs[place]


def _options(scorer: Scorer, chosen: Chosen) -> str:
    """The options of a scorer that differ from those that were asked for."""
    asked = dict(chosen.config)
    changed = [f"{name} = {value}" for name, value in dict(scorer.config).items() if value != asked[name]]
    return ", ".join(changed) or "the options as given"


def _extended(blend: Blend, scorer: Scorer) -> Blend:
    return Blend([*blend.scorers, scorer], (*blend.weights, 0.0))


def _weights(blend: Blend, place: int) -> list[float]:
    before, after = WEIGHTS[place]
    return [*(before * weight for weight in blend.weights), after]


def _best(values: npt.NDArray[np.float64]) -> int:
    """Place of the highest value; NaN is never the best."""
    return int(np.argmax(np.where(np.isnan(values), -np.inf, values)))


def _name(place: int, chosen: Chosen) -> str:
    before, after = WEIGHTS[place]
    return f"{before:g} network + {after:g} {chosen.part.name}"


def _blended(network: Network, blend: Blend, evaluator: Evaluator, label: str) -> list[float]:
    """The metric with each weight of the last scorer: means over chunks of users, each scored once for all weights."""
    sums = np.zeros(len(WEIGHTS))
    training = network.training
    before = Blend(blend.scorers[:-1], blend.weights[:-1])
    scorer = NetworkScorer(network, evaluator.max_length)
    n_items = network.items.n_items
    n_rows = max(1, min(USERS_AT_ONCE, evaluator.config.memory * 2**20 // (4 * n_items)))
    for rows in _chunks(len(evaluator.holdout), n_rows):
        part = evaluator.of(evaluator.holdout.take(rows))
        both = _Both(scorer, before, blend)
        for place, weights in enumerate(WEIGHTS):
            both.use(weights)
            sums[place] += len(rows) * part.values(both)[label]
    network.train(training)
    means: list[float] = (sums / max(1, len(evaluator.holdout))).tolist()
    return means


def _chunks(n: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, n, size):
        yield np.arange(begin, min(begin + size, n))


class _Both:
    """Scores of a blend and of one more scorer for one chunk of users, computed once and added by changing weights."""

    def __init__(self, scorer: NetworkScorer, before: Blend, blend: Blend) -> None:
        self._scorer, self._before, self._blend = scorer, before, blend
        self._weights = WEIGHTS[0]
        self._parts: dict[bytes, tuple[Tensor, Tensor]] = {}

    def use(self, weights: tuple[float, float]) -> None:
        self._weights = weights

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        key = users.tobytes()
        with torch.inference_mode():
            if key not in self._parts:
                self._parts[key] = self._computed(users, histories)
            learnt, added = self._parts[key]
            empty = torch.from_numpy(histories.lengths == 0).to(learnt.device)
            return torch.where(empty[:, None], learnt, self._weights[0] * learnt + self._weights[1] * added)

    def _computed(self, users: npt.NDArray[np.int32], histories: Ragged) -> tuple[Tensor, Tensor]:
        read = self._scorer.read_part(histories)
        learnt = self._before.scores(self._scorer.scores(users, histories), users, read)
        return learnt, self._blend.log_shares_of(len(self._blend.scorers) - 1, users, read, learnt.device)

    def predict(self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> None:
        return None
