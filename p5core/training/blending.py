"""Choosing how a network is blended with scorers, on validation events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
from p5core.model.without_network import POPULARITY_WEIGHT
from p5core.plugins.status import Chosen

__all__ = ["WEIGHTS", "Fit", "blend_fitted", "choose_blend", "fit_alone"]

WEIGHTS = (
    *((1.0, weight) for weight in (0.0, 0.25, 0.5, 0.7, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 8.0, 13.0)),
    (0.0, 1.0),
)
"""(weight of the blend so far, weight of the next scorer) to choose from; each alone is among them."""

FIRST_USERS = 5_000
"""Users by whom the options of a scorer are chosen; by all of them its weight."""

USERS_AT_ONCE = 256
"""At most; fewer where their scores would take more memory than the evaluation may."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The events and items that scorers are fitted to, and the judge of their blend."""

    train: Events
    catalogue: Catalogue
    evaluator: Evaluator
    """of validation events"""
    watch: Metric
    say: Callable[[str], None]

    @property
    def sign(self) -> int:
        """1 if the highest value of the metric is the best, -1 if the lowest is."""
        return 1 if self.watch.higher_is_better else -1

    def on_fewer_users(self) -> Evaluator:
        """The evaluator of the users by whom options are chosen."""
        return self.evaluator.of(self.evaluator.holdout.sample(FIRST_USERS, np.random.default_rng(self.evaluator.seed)))


def choose_blend(network: Network, chosen: Sequence[Chosen], fit: Fit, *, alone: bool = False) -> Blend:
    """Fit scorers and add them to the network's scores one after the other, each by its best weight.

    For each scorer first the options that are best alone are chosen, then those whose blend is the best, and its
    weight. As the network and the scorer alone are among the blends, the result is not worse there than the better.

    With `alone` the first scorer takes the place of the network, which is a `popularity_network`.
    """
    blend = Blend([], (1.0,))
    for nth, spec in enumerate(chosen):
        if alone and nth == 0:
            blend = Blend([fit_alone(spec, fit)], (POPULARITY_WEIGHT, 1.0))
        else:
            blend = _with_scorer(network, blend, spec, fit)
    return blend


def blend_fitted(network: Network, scorers: Sequence[Scorer], fit: Fit) -> Blend:
    """Add fitted scorers to the network's scores one after the other, each by its best weight."""
    blend = Blend([], (1.0,))
    for scorer in scorers:
        values = _blended(network, _extended(blend, scorer), fit.evaluator, fit.watch.label)
        weights = _weights(blend, _best(fit.sign * np.array(values)))
        blend = _extended(blend, scorer).with_weights(weights)
    return blend


def fit_alone(chosen: Chosen, fit: Fit) -> Scorer:
    """The scorer with the options that are best on validation events without anything else."""
    evaluator = fit.on_fewer_users()
    best = _best_alone(chosen, fit, evaluator)
    value = fit.sign * evaluator.values(best)[fit.watch.label]
    for scorer in chosen.part.fit_for_blend(best.config, fit.train, fit.catalogue):  # such as weights of content
        other = fit.sign * evaluator.values(scorer)[fit.watch.label]
        if other > value:
            best, value = scorer, other
            fit.say(f"{chosen.part.name} with {_options(scorer, chosen)}: {fit.watch.label} {fit.sign * other:.4f}")
    return best


def _with_scorer(network: Network, blend: Blend, chosen: Chosen, fit: Fit) -> Blend:
    first, label, name = fit.on_fewer_users(), fit.watch.label, chosen.part.name
    before = "blend" if blend.scorers else "network"
    config = _best_alone(chosen, fit, first).config
    best: tuple[float, Scorer, list[float]] | None = None
    for scorer in chosen.part.fit_for_blend(config, fit.train, fit.catalogue):
        values = _blended(network, _extended(blend, scorer), first, label)
        place = _best(fit.sign * np.array(values))
        fit.say(f"{name} with {_options(scorer, chosen)}: {label} {values[place]:.4f} ({_name(place, before, name)})")
        if best is None or fit.sign * values[place] > fit.sign * best[0]:
            best = (values[place], scorer, values)
    assert best is not None
    _, scorer, values = best
    if len(first.holdout) < len(fit.evaluator.holdout):
        values = _blended(network, _extended(blend, scorer), fit.evaluator, label)
    place = _best(fit.sign * np.array(values))
    figures = ", ".join(f"{_name(nth, before, name)} {figure:.4f}" for nth, figure in enumerate(values))
    fit.say(f"{label} on validation events: {figures}; chosen: {_name(place, before, name)}")
    return _extended(blend, scorer).with_weights(_weights(blend, place))


def _best_alone(chosen: Chosen, fit: Fit, evaluator: Evaluator) -> Scorer:
    """The fitted scorer whose options are best without anything else."""
    figures: list[float] = []
    best: Scorer | None = None
    for scorer in chosen.part.fit_variants(chosen.config, fit.train, fit.catalogue):
        figures.append(evaluator.values(scorer)[fit.watch.label])
        if _best(fit.sign * np.array(figures)) == len(figures) - 1:
            best = scorer
    place = _best(fit.sign * np.array(figures))
    if len(figures) > 1:
        values = ", ".join(f"{value:.4f}" for value in figures)
        fit.say(
            f"{chosen.part.name}: {fit.watch.label} of {len(figures)} variants on validation events: {values}; "
            f"chosen: {place + 1}"
        )
    assert best is not None
    return best


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


def _name(place: int, before: str, name: str) -> str:
    weights = WEIGHTS[place]
    return f"{weights[0]:g} {before} + {weights[1]:g} {name}"


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
