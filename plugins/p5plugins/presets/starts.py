"""Presets that are the same for every data set."""

from __future__ import annotations

from importlib.resources import files

from p5core.contracts.preset import Preset
from p5core.data.dataset import Dataset

__all__ = ["Factorisation", "NextItemPreset", "PretrainFinetune", "Ratings", "Recurrent"]


class _Fixed(Preset):
    """A TOML file of this package."""

    def sections(self, dataset: Dataset | None) -> str:
        return files("p5plugins.presets").joinpath(f"{self.name}.toml").read_text(encoding="utf-8")


class NextItemPreset(_Fixed):
    """Next-item prediction by a filter network, blended with co-occurrence counts."""

    name = "next_item"


class PretrainFinetune(_Fixed):
    """Masked-item pre-training, then fine-tuning on the next item."""

    name = "pretrain_finetune"


class Recurrent(_Fixed):
    """Next-item prediction by a gated recurrent network."""

    name = "recurrent"


class Factorisation(_Fixed):
    """Matrix factorisation of users and items by pairwise ranking."""

    name = "factorisation"


class Ratings(_Fixed):
    """Matrix factorisation of explicit ratings."""

    name = "ratings"
