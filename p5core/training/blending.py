"""How the item memory counts, and how much it has to say beside the network: chosen on validation events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.contracts.metric import Metric
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5core.evaluation.evaluator import Evaluator
from p5core.model.content_similarity import content_similarity
from p5core.model.cooccurrence import MIXTURES, Memory
from p5core.model.item_knn import Neighbours
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.model.options import HOW_COUNTED, countings, with_content

__all__ = ["choose_memory"]

FIRST_USERS = 5_000
"""By so many of the users it is chosen how the memory counts; by all of them how much it has to say."""

USERS_AT_ONCE = 256
"""At most; fewer where their scores would take more memory than the evaluation may."""


def choose_memory(
    network: Network, train: Events, catalogue: Catalogue, evaluator: Evaluator, watch: Metric
) -> Iterator[str]:
    """Fill the memory of a network and set its mixture to the best on the evaluator's users; yields what was found.

    First the way of counting that is best alone, then how much content counts and the mixture together. As each of the
    two alone is among the mixtures, the result is not worse there than the better of them.
    """
    memory = network.memory
    assert memory is not None
    sign = 1 if watch.higher_is_better else -1
    first = evaluator.of(evaluator.holdout.sample(FIRST_USERS, np.random.default_rng(evaluator.seed)))
    n_items, ways = len(memory.neighbours), countings(memory.config)
    way = ways[0]
    if len(ways) > 1:
        alone = [first.values(Neighbours.fit(train, n_items, one))[watch.label] for one in ways]
        way = ways[_best(sign * np.array(alone))]
        figures = ", ".join(f"{value:.4f}" for value in alone)
        values = ", ".join(f"{name} {getattr(way, name):g}" for name in HOW_COUNTED)
        yield f"{watch.label} of {len(alone)} ways of counting on validation events: {figures}; taken: {values}"
    content = content_similarity(catalogue, memory.config.content)
    configs = with_content(way) if content is not None else [way]
    mixed = []
    for config in configs:
        memory.keep(Neighbours.fit(train, n_items, config, content))
        mixed.append(_mixed(network, memory, first, watch.label))
        if content is not None:
            best = _best(sign * np.array(mixed[-1]))
            at_best = f"{watch.label} {mixed[-1][best]:.4f} ({_name(MIXTURES[best])})"
            yield f"content as {config.content_pairs:g} pairs: {at_best}, memory alone {mixed[-1][-1]:.4f}"
    place = _best(np.fmax.reduce(sign * np.array(mixed), axis=1))
    memory.keep(Neighbours.fit(train, n_items, configs[place], content))
    found = (
        mixed[place]
        if len(first.holdout) == len(evaluator.holdout)
        else _mixed(network, memory, evaluator, watch.label)
    )
    taken = _best(sign * np.array(found))
    memory.mixture.copy_(torch.tensor(MIXTURES[taken]))
    pairs = "" if content is None else f", content as {configs[place].content_pairs:g} pairs"
    figures = ", ".join(f"{_name(one)} {figure:.4f}" for one, figure in zip(MIXTURES, found, strict=True))
    yield f"{watch.label} on validation events: {figures}; taken: {_name(MIXTURES[taken])}{pairs}"


def _best(values: npt.NDArray[np.float64]) -> int:
    """Place of the highest value; NaN is never the best."""
    return int(np.argmax(np.where(np.isnan(values), -np.inf, values)))


def _name(mixture: tuple[float, float]) -> str:
    return f"{mixture[0]:g} network + {mixture[1]:g} memory"


def _mixed(network: Network, memory: Memory, evaluator: Evaluator, label: str) -> list[float]:
    """The figure of each mixture: means over chunks of users, so that each chunk is scored once for all mixtures."""
    sums = np.zeros(len(MIXTURES))
    training = network.training
    memory.mixture.copy_(torch.tensor(MIXTURES[0]))  # the scorer below adds the memory itself
    scorer = NetworkScorer(network, evaluator.max_length)
    n_rows = max(1, min(USERS_AT_ONCE, evaluator.config.memory * 2**20 // (4 * len(memory.neighbours))))
    for begin in range(0, len(evaluator.holdout), n_rows):
        rows = np.arange(begin, min(begin + n_rows, len(evaluator.holdout)))
        part = evaluator.of(evaluator.holdout.take(rows))
        both = _Both(scorer, memory)
        for place, mixture in enumerate(MIXTURES):
            memory.mixture.copy_(torch.tensor(mixture))
            sums[place] += len(rows) * part.values(both)[label]
    network.train(training)
    found: list[float] = (sums / max(1, len(evaluator.holdout))).tolist()
    return found


class _Both:
    """Scores of network and memory for one chunk of users, computed once and mixed as the memory says now."""

    def __init__(self, scorer: NetworkScorer, memory: Memory) -> None:
        self._scorer, self._memory = scorer, memory
        self._parts: dict[bytes, tuple[Tensor, Tensor]] = {}

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        key = users.tobytes()
        with torch.inference_mode():
            if key not in self._parts:
                learnt = self._scorer.scores(users, histories).log_softmax(dim=1)
                remembered = self._memory.log_shares(self._scorer.remembered(self._memory, histories))
                self._parts[key] = (learnt, remembered)
            learnt, remembered = self._parts[key]
            empty = torch.from_numpy(histories.lengths == 0).to(learnt.device)
            return torch.where(empty[:, None], learnt, self._memory.weigh(learnt, remembered))
