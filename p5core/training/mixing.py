"""How the item memory counts, and how much it has to say beside the network: chosen on validation events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.data.dataset import Events, Ragged
from p5core.evaluation.judge import Judge
from p5core.model.memory import MIXTURES, Memory
from p5core.model.neighbours import Neighbours
from p5core.model.network import Network
from p5core.model.options import COUNTED_BY, countings
from p5core.model.scoring import NetworkScorer
from p5core.parts.metric import Metric

__all__ = ["choose_memory"]

USERS_AT_ONCE = 256
"""At most; fewer where their scores would take more memory than the evaluation may."""


def choose_memory(network: Network, train: Events, judge: Judge, watch: Metric) -> Iterator[str]:
    """Fill the memory of a network and set its mixture to the best on the judge's users; yields what was found.

    First the way of counting that is best alone, then the mixture. As each alone is among the mixtures, the result is
    not worse there than the better of the two.
    """
    memory = network.memory
    assert memory is not None
    sign = 1 if watch.higher_is_better else -1
    alone: list[float] = []
    for config in countings(memory.config):
        counted = Neighbours.fit(train, len(memory.neighbours), config)
        alone.append(judge.values(counted)[watch.label])
        if sign * alone[-1] >= max(sign * value for value in alone):
            memory.keep(counted)
    if len(alone) > 1:
        values = ", ".join(f"{name} {getattr(memory.counting, name):g}" for name in COUNTED_BY)
        figures = ", ".join(f"{value:.4f}" for value in alone)
        yield f"{watch.label} of {len(alone)} ways of counting on validation events: {figures}; taken: {values}"
    mixed = _mixed(network, memory, judge, watch.label)
    taken = int(np.argmax(sign * np.array(mixed)))
    memory.mixture.copy_(torch.tensor(MIXTURES[taken]))
    names = [f"{learnt:g} network + {remembered:g} memory" for learnt, remembered in MIXTURES]
    figures = ", ".join(f"{name} {value:.4f}" for name, value in zip(names, mixed, strict=True))
    yield f"{watch.label} on validation events: {figures}; taken: {names[taken]}"


def _mixed(network: Network, memory: Memory, judge: Judge, label: str) -> list[float]:
    """The figure of each mixture: means over chunks of users, so that each chunk is scored once for all mixtures."""
    sums = np.zeros(len(MIXTURES))
    training = network.training
    memory.mixture.copy_(torch.tensor(MIXTURES[0]))  # the scorer below adds the memory itself
    scorer = NetworkScorer(network, judge.max_length)
    n_rows = max(1, min(USERS_AT_ONCE, judge.config.memory * 2**20 // (4 * len(memory.neighbours))))
    for begin in range(0, len(judge.holdout), n_rows):
        rows = np.arange(begin, min(begin + n_rows, len(judge.holdout)))
        part = judge.of(judge.holdout.take(rows))
        both = _Both(scorer, memory)
        for place, mixture in enumerate(MIXTURES):
            memory.mixture.copy_(torch.tensor(mixture))
            sums[place] += len(rows) * part.values(both)[label]
    network.train(training)
    found: list[float] = (sums / max(1, len(judge.holdout))).tolist()
    return found


class _Both:
    """Scores of network and memory for one chunk of users, computed once and mixed as the memory says now."""

    def __init__(self, scorer: NetworkScorer, memory: Memory) -> None:
        self._scorer, self._memory = scorer, memory
        self._parts: dict[bytes, tuple[Tensor, Tensor]] = {}

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        key = users.tobytes()
        if key not in self._parts:
            learnt = self._scorer.scores(users, histories)
            self._parts[key] = (learnt, self._scorer.remembered(self._memory, histories))
        learnt, remembered = self._parts[key]
        if not self._memory.is_used:
            return learnt.clone()
        with torch.inference_mode():
            return self._memory.mix(learnt, remembered)
