"""Softmax over the right item and a sample of the others."""

from __future__ import annotations

from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from p5core.config.base import Tunable
from p5core.contracts.loss import Candidates, RankingLoss
from p5plugins.losses.chunks import cross_entropy_in_chunks
from p5plugins.losses.options import SoftmaxConfig

__all__ = ["SampledSoftmax", "SampledSoftmaxConfig"]


class SampledSoftmaxConfig(SoftmaxConfig):
    """Options of the sampled softmax."""

    n_uniform: Annotated[int, Tunable(128, 4096, log=True)] = Field(1024, ge=0, le=10_000_000)
    """Number of uniformly drawn negatives per batch."""

    in_batch: bool = True
    """Use the targets of other states in the batch as negatives."""

    @model_validator(mode="after")
    def _something_to_compare(self) -> Self:
        if not self.n_uniform and not self.in_batch:
            raise ValueError(
                "with n_uniform = 0 and in_batch = false there is nothing to compare with; set one of them"
            )
        return self


class SampledSoftmax(RankingLoss):
    """Softmax cross-entropy over sampled items, corrected for their sampling probabilities.

    The wrong items of all states are one sample: n_uniform uniform draws and the targets of the batch. Item j is
    expected in it e_j = (N - 1) · share_j + n_uniform / V times; c_j occurrences of score s count exp(s) · c_j / e_j,
    so that the sum over the sample estimates the sum over the catalogue without bias (logQ correction: Bengio and
    Senécal, doi 10.1109/TNN.2007.912312; Yi et al. 2019, doi 10.1145/3298689.3346996; arXiv 2007.12865). The right item
    is always there, so it counts exp(s); where it was sampled as a wrong one it is left out. Sampled items are encoded
    once, however often they occur.
    """

    name = "sampled_softmax"
    Config = SampledSoftmaxConfig
    config: SampledSoftmaxConfig
    is_default = True

    @classmethod
    def suits(cls, n_items: int, n_events: int) -> str | None:
        """Any catalogue that is too large for a full softmax."""
        return f"{n_items:,} items are too many for a full softmax over {n_events:,} events"

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        """Draw the sample and score it for all states."""
        uniform = torch.randint(candidates.n_items, (self.config.n_uniform,), device=targets.device)
        codes, places = torch.unique(torch.cat([targets, uniform]), return_inverse=True)  # (C,), (N + n_uniform,)
        sampled = places if self.config.in_batch else places[len(targets) :]
        counts = torch.bincount(sampled, minlength=len(codes))
        corrections = torch.log(counts / self._expected(codes, len(targets), candidates))  # -inf where only a target
        scaled = states / self.config.temperature
        return cross_entropy_in_chunks(scaled, candidates.vectors(codes), places[: len(targets)], corrections)

    def _expected(self, codes: Tensor, n_states: int, candidates: Candidates) -> Tensor:
        """(C,) how often each item is expected in the sample."""
        uniform = torch.full(codes.shape, self.config.n_uniform / candidates.n_items, device=codes.device)
        return uniform + (n_states - 1) * candidates.log_frequency[codes].exp() if self.config.in_batch else uniform
