"""Presets that are the same for every data set."""

from __future__ import annotations

from importlib.resources import files

from p5core.contracts.preset import Preset
from p5core.data.dataset import Dataset

__all__ = [
    "ALS", "BPRMF", "EASE", "FMLP", "NARM", "SLIST", "BERT4Rec", "Factorisation", "GRU4Rec", "ItemKNN",
    "NextItemPreset", "PretrainFinetune", "Ratings", "Recurrent", "SASRec", "SVDpp",
]  # fmt: skip


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
    """Ratings by a Bayesian factorisation machine of users, items and their attributes."""

    name = "ratings"


class EASE(_Fixed):
    """EASE alone: item weights in closed form, without a network (arXiv 1905.03375)."""

    name = "ease"


class ItemKNN(_Fixed):
    """Item-based nearest neighbours alone, without a network (doi 10.1145/371920.372071)."""

    name = "item_knn"


class ALS(_Fixed):
    """Implicit matrix factorisation alone, by alternating least squares (doi 10.1109/ICDM.2008.22)."""

    name = "als"


class SLIST(_Fixed):
    """SLIST alone: a linear model of which item follows which, in closed form (arXiv 2104.05132)."""

    name = "slist"


class BPRMF(_Fixed):
    """BPR: matrix factorisation by pairwise ranking (arXiv 1205.2618)."""

    name = "bpr_mf"


class SVDpp(_Fixed):
    """SVD++: ratings from factors and from what was rated at all, as a Bayesian machine (arXiv 1905.01395)."""

    name = "svdpp"


class FMLP(_Fixed):
    """FMLP-Rec: filters along time instead of attention, in their causal form (arXiv 2202.13556)."""

    name = "fmlp"


class SASRec(_Fixed):
    """SASRec: a causal transformer with binary cross-entropy (arXiv 1808.09781)."""

    name = "sasrec"


class BERT4Rec(_Fixed):
    """BERT4Rec: a bidirectional transformer that predicts masked items (arXiv 1904.06690)."""

    name = "bert4rec"


class NARM(_Fixed):
    """NARM: a gated recurrent network with attention over its states (arXiv 1711.04725)."""

    name = "narm"


class GRU4Rec(_Fixed):
    """GRU4Rec: a gated recurrent network with a pairwise loss (arXiv 1511.06939)."""

    name = "gru4rec"
