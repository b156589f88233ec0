"""Scores of a network blended with those of fitted scorers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save
from torch import Tensor

from p5core.config.base import PartSpec
from p5core.contracts.scorer import ItemNeighbours, Scorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5core.plugins.registry import Registry
from p5core.system.files import write_bytes, write_json

__all__ = ["FLOOR", "Blend", "NeighbourTable", "log_shares", "read_blend", "write_blend"]

FLOOR = 1e-4
"""Added to shares of a scorer before their logarithm: what no history item reaches is rare, not impossible."""


def log_shares(scores: Tensor) -> Tensor:
    """(B, V) logarithm of each item's share of a row's non-negative scores."""
    share = scores / scores.sum(dim=1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    return torch.log(share + FLOOR)


class NeighbourTable:
    """An item-item model on a device: what `ItemNeighbours` computes, as tensors."""

    def __init__(self, model: ItemNeighbours, device: torch.device) -> None:
        self.neighbours = torch.from_numpy(model.neighbours).to(device)  # (V, M)
        self.weights = torch.from_numpy(model.weights).to(device)  # (V, M)
        self.age_weights = torch.from_numpy(model.age_weights).to(device)  # (L,)

    def scores(self, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, V) summed weights for histories `items` (B, T), right-padded, of `lengths` (B,)."""
        ages = lengths[:, None] - 1 - torch.arange(items.shape[1], device=items.device)  # (B, T)
        is_read = (ages >= 0) & (ages < len(self.age_weights))
        of_age = self.age_weights[ages.clamp(0, len(self.age_weights) - 1)] * is_read
        items = torch.where(ages >= 0, items, 0)
        values = self.weights[items] * of_age[..., None]  # (B, T, M)
        codes = self.neighbours[items].long().flatten(1)  # (B, T · M)
        blank = values.new_zeros(items.shape[0], self.neighbours.shape[0])
        return blank.scatter_add(1, codes, values.flatten(1))


@dataclass(frozen=True, eq=False)
class Blend:
    """score(j) = w_0 log p_network(j) + Σ_i w_i log(p_i(j) + floor), all as shares over the catalogue."""

    scorers: Sequence[Scorer]
    weights: tuple[float, ...]
    """of the network, then of each scorer"""

    _tables: dict[tuple[int, torch.device], NeighbourTable] = field(default_factory=dict)

    @property
    def is_used(self) -> bool:
        """True if any scorer has a non-zero weight."""
        return any(weight > 0 for weight in self.weights[1:])

    def with_weights(self, weights: Sequence[float]) -> Blend:
        """The same scorers with other weights."""
        return replace(self, weights=tuple(weights))

    def refitted(self, events: Events, catalogue: Catalogue) -> Blend:
        """The same scorers and weights, fitted to other events."""
        scorers = []
        for old in self.scorers:
            scorer = type(old)(old.config)
            scorer.fit(events, catalogue)
            scorers.append(scorer)
        return Blend(scorers, self.weights)

    def scores(self, learnt: Tensor, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V) blended scores, from those of the network (B, V) and from histories as the network reads them."""
        blended = self.weights[0] * learnt.log_softmax(dim=1)
        for nth, weight in enumerate(self.weights[1:]):
            if weight > 0:
                blended = blended + weight * self.log_shares_of(nth, users, histories, learnt.device)
        return blended

    def log_shares_of(self, nth: int, users: npt.NDArray[np.int32], histories: Ragged, device: torch.device) -> Tensor:
        """(B, V) logarithms of the shares of one scorer."""
        table = self._table(nth, device)
        if table is None:
            return log_shares(self.scorers[nth].scores(users, histories).to(device).clamp_min(0))
        width = max(1, int(min(histories.lengths.max(initial=0), len(table.age_weights))))
        lengths = np.minimum(histories.lengths, width)
        index = (histories.offsets[1:] - lengths)[:, None] + np.arange(width)
        values = histories.values if len(histories.values) else np.zeros(1, dtype=np.int32)
        items = torch.from_numpy(values[np.minimum(index, len(values) - 1)].astype(np.int64)).to(device)
        scores = table.scores(items, torch.from_numpy(lengths).to(device))
        return log_shares(scores.clamp_min(0))  # weights may be negative

    def _table(self, nth: int, device: torch.device) -> NeighbourTable | None:
        if (nth, device) not in self._tables:
            model = self.scorers[nth].export()
            if model is None:
                return None
            self._tables[nth, device] = NeighbourTable(model, device)
        return self._tables[nth, device]


def write_blend(folder: Path, blend: Blend) -> None:
    """Write `blend.json` with options and weights, and `blend.safetensors` with what the scorers have learnt."""
    arrays = {
        f"{nth}.{name}": np.ascontiguousarray(array)
        for nth, scorer in enumerate(blend.scorers)
        for name, array in (scorer.state() or {}).items()
    }
    write_bytes(folder / "blend.safetensors", save(arrays))
    scorers = [{"name": scorer.name, "options": scorer.config.model_dump(mode="json")} for scorer in blend.scorers]
    write_json(folder / "blend.json", {"weights": list(blend.weights), "scorers": scorers})


def read_blend(folder: Path, registry: Registry) -> Blend | None:
    """Read what `write_blend` wrote; None when there is none."""
    path = folder / "blend.json"
    if not path.exists():
        return None
    stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    arrays = load_file(folder / "blend.safetensors")
    scorers = []
    for nth, entry in enumerate(stored["scorers"]):
        spec = PartSpec.model_validate(
            {"name": entry["name"], **{k: v for k, v in entry["options"].items() if v is not None}}
        )
        scorer = registry.choose("scorer", spec, f"blend.{nth}").build()
        begin = f"{nth}."
        scorer.restore({key.removeprefix(begin): array for key, array in arrays.items() if key.startswith(begin)})
        scorers.append(scorer)
    return Blend(scorers, tuple(stored["weights"]))
