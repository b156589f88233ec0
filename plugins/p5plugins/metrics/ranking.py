"""Metrics of where the held-out items stand.

T is the number of a user's targets and r_1 ≤ … ≤ r_T are their ranks. Equal scores share the mean of their places, so
ranks may be fractions; the j-th target never stands above place j, so that no metric leaves its bounds. The rank of a
target that cannot be recommended is infinite: it is a miss at any k.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from p5core.contracts.metric import AtK, EvalResult, Metric, Ranks

__all__ = ["AUC", "F1", "MAP", "MRR", "NDCG", "HitRate", "Precision", "Recall"]

Values = npt.NDArray[np.float64]


def _ranks(result: EvalResult) -> Ranks:
    assert result.ranks is not None
    return result.ranks


def _hits(result: EvalResult, k: int) -> Values:
    """(M,) how many targets of each user stand among the first k."""
    ranks = _ranks(result)
    return ranks.sum_by_user((ranks.in_order <= k).astype(np.float64))


class HitRate(Metric):
    """Hit rate: 1 if any target ranks in the top k, else 0.

    Equals recall when every user has one target. Source: Deshpande and Karypis 2004, doi 10.1145/963770.963776.
    """

    name = "hr"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        return (_hits(result, self.config.k) > 0).astype(np.float64)


class Recall(Metric):
    """Recall: fraction of targets in the top k, |{j: r_j ≤ k}| / T.

    Source: Herlocker et al. 2004, doi 10.1145/963770.963772.
    """

    name = "recall"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        return _hits(result, self.config.k) / _ranks(result).n_targets


class Precision(Metric):
    """Precision: fraction of the top k that are targets, |{j: r_j ≤ k}| / k.

    Source: Herlocker et al. 2004, doi 10.1145/963770.963772.
    """

    name = "precision"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        return _hits(result, self.config.k) / self.config.k


class F1(Metric):
    """Harmonic mean of precision and recall at k: 2 |{j: r_j ≤ k}| / (k + T).

    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7.
    """

    name = "f1"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        return 2 * _hits(result, self.config.k) / (self.config.k + _ranks(result).n_targets)


class NDCG(Metric):
    """Normalised discounted cumulative gain: DCG / IDCG of the top k.

    DCG = Σ_{r_j ≤ k} 1 / log2(1 + r_j), IDCG = Σ_{i = 1..min(k, T)} 1 / log2(1 + i).
    Source: Järvelin and Kekäläinen 2002, doi 10.1145/582415.582418.
    """

    name = "ndcg"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        ranks, k = _ranks(result), self.config.k
        gains = np.where(ranks.in_order <= k, 1 / np.log2(1 + ranks.in_order), 0.0)
        ideal = np.where(ranks.order <= k, 1 / np.log2(1 + ranks.order), 0.0)
        return ranks.sum_by_user(gains) / ranks.sum_by_user(ideal)


class MAP(Metric):
    """Mean average precision: Σ_{r_j ≤ k} (j / r_j) / min(k, T).

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 8.
    """

    name = "map"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        ranks, k = _ranks(result), self.config.k
        precisions = np.where(ranks.in_order <= k, ranks.order / ranks.in_order, 0.0)
        return ranks.sum_by_user(precisions) / np.minimum(k, ranks.n_targets)


class MRR(Metric):
    """Reciprocal rank of the best target: 1 / r_1 if r_1 ≤ k, else 0.

    Source: Voorhees 1999, The TREC-8 question answering track report.
    """

    name = "mrr"
    Config = AtK
    config: AtK
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        ranks = _ranks(result)
        best = ranks.in_order[ranks.offsets[:-1]]
        return np.where(best <= self.config.k, 1 / best, 0.0)


class AUC(Metric):
    """Area under the ROC curve: probability that a target ranks above another candidate.

    With C candidates: (Σ_j (C + 1 - r_j) - T (T + 1) / 2) / (T (C - T)), the Mann-Whitney statistic; undefined when
    every candidate is a target. Targets that cannot be recommended share the last places.
    Source: Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747.
    """

    name = "auc"
    needs = "ranks"

    def values(self, result: EvalResult) -> Values:
        ranks = _ranks(result)
        n_targets, n_others = ranks.n_targets, ranks.n_candidates - ranks.n_targets
        n_candidates, never = np.repeat(ranks.n_candidates, n_targets), np.isinf(ranks.ranks)
        last = n_candidates - (np.repeat(ranks.sum_by_user(never.astype(np.float64)), n_targets) - 1) / 2
        places: Values = np.where(never, last, ranks.ranks)
        from_below = ranks.sum_by_user(n_candidates + 1.0 - places)
        above = from_below - n_targets * (n_targets + 1) / 2
        area: Values = np.divide(above, n_targets * n_others, out=np.full(len(above), np.nan), where=n_others > 0)
        return area
