"""Gibbs sampling of a factorisation machine in which users and items are sums of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["Design", "Numbers", "Ratings", "Side", "sweep"]

Numbers = npt.NDArray[np.float64]

MOST_STEPS = 50
"""Steps of the conjugate gradients at most."""

TOLERANCE = 1e-3
"""Norm of the residual at which they end, relative to the right side."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """R ratings."""

    users: npt.NDArray[np.integer]
    items: npt.NDArray[np.integer]
    values: Numbers
    weights: Numbers
    """mean 1"""


@dataclass(frozen=True, eq=False)
class Design:
    """The attributes of N entities."""

    table: csr_array
    """(N, F) how much of each attribute an entity has"""

    groups: npt.NDArray[np.int64]
    """(F,) group of each attribute; the weights of a group have one prior"""

    @cached_property
    def transposed(self) -> csr_array:
        """(F, N)"""
        return csr_array(self.table.T)

    @cached_property
    def squared(self) -> csr_array:
        """(F, N) squares of the transposed table."""
        return csr_array(self.transposed.power(2))


@dataclass(frozen=True, eq=False)
class Side:
    """A sample of the weights of users or of items, in D + 1 dimensions, of which the last is the bias.

    The value of an entity in a dimension is `own` plus the sum of those of its attributes.
    """

    design: Design
    own: Numbers
    """(D + 1, N)"""
    of_attributes: Numbers
    """(D + 1, F)"""
    means: Numbers
    """(D + 1,) mean of the prior of `own`"""

    def values(self) -> Numbers:
        """(D + 1, N) values of the entities."""
        values: Numbers = self.own + (self.design.table @ self.of_attributes.T).T
        return values

    def draw(self, nth: int, precisions: Numbers, sums: Numbers, rng: np.random.Generator) -> Numbers:
        """(N,) new values in one dimension, given what the ratings say of each: precision (N,), and mean times it.

        Attributes are drawn with the own weights integrated out, then the own weights.
        """
        own, design = self.own[nth], self.design
        prior = rng.gamma(1 + len(own) / 2) / (1 + ((own - self.means[nth]) ** 2).sum() / 2)
        sharpness = len(own) * prior + 1
        mean = rng.normal(own.sum() * prior / sharpness, sharpness**-0.5)
        self.means[nth] = mean
        shared: Numbers = np.zeros(len(own))
        if len(design.groups):
            told = precisions * prior / (precisions + prior)
            self.of_attributes[nth] = self._attributes(
                nth, told, (sums - precisions * mean) * prior, precisions + prior, rng
            )
            shared = design.table @ self.of_attributes[nth]
        exact = precisions + prior
        centre = (sums - precisions * shared + prior * mean) / exact
        self.own[nth] = centre + rng.standard_normal(len(own)) / np.sqrt(exact)
        drawn: Numbers = self.own[nth] + shared
        return drawn

    def _attributes(self, nth: int, told: Numbers, sums: Numbers, scale: Numbers, rng: np.random.Generator) -> Numbers:
        """(F,) a draw from the normal distribution of the weights, as the solution of a perturbed system."""
        design, before = self.design, self.of_attributes[nth]
        sizes = np.bincount(design.groups)
        squares = np.bincount(design.groups, before**2)
        priors = (rng.gamma(1 + sizes / 2) / (1 + squares / 2))[design.groups]
        noise = np.sqrt(told) * rng.standard_normal(len(told))
        right = design.transposed @ (sums / scale + noise) + np.sqrt(priors) * rng.standard_normal(len(priors))
        return _solved(design, told, priors, right, before)


def _solved(design: Design, told: Numbers, priors: Numbers, right: Numbers, start: Numbers) -> Numbers:
    """(F,) x with (Aᵀ diag(told) A + diag(priors)) x = right, by preconditioned conjugate gradients."""
    diagonal = design.squared @ told + priors
    x = start.copy()
    residual = right - (design.transposed @ (told * (design.table @ x)) + priors * x)
    direction = residual / diagonal
    norm = residual @ direction
    least = TOLERANCE**2 * (right @ (right / diagonal))
    for _ in range(MOST_STEPS):
        if norm <= least:
            break
        image = design.transposed @ (told * (design.table @ direction)) + priors * direction
        step = norm / (direction @ image)
        x += step * direction
        residual -= step * image
        scaled = residual / diagonal
        norm, last = residual @ scaled, norm
        direction = scaled + norm / last * direction
    return x


def sweep(ratings: Ratings, offset: float, users: Side, items: Side, rng: np.random.Generator) -> tuple[float, float]:
    """Draw all weights once, each given the others; returns the new offset and the mean squared error."""
    of_users, of_items = users.values(), items.values()
    errors = ratings.values - offset - of_users[-1][ratings.users] - of_items[-1][ratings.items]
    for mine, other in zip(of_users[:-1], of_items[:-1], strict=True):
        errors -= mine[ratings.users] * other[ratings.items]
    n, weights = len(errors), ratings.weights
    noise = rng.gamma(1 + n / 2) / (1 + (weights * errors**2).sum() / 2)
    rows = (
        (users, of_users, ratings.users, of_items, ratings.items),
        (items, of_items, ratings.items, of_users, ratings.users),
    )
    for nth in range(len(of_users)):
        for side, values, codes, others, other_codes in rows:
            factor = None if nth == len(of_users) - 1 else others[nth][other_codes]
            scaled = weights if factor is None else weights * factor
            size = values.shape[1]
            precisions = noise * np.bincount(codes, scaled if factor is None else scaled * factor, size)
            sums = noise * np.bincount(codes, scaled * errors, size) + precisions * values[nth]
            drawn = side.draw(nth, precisions, sums, rng)
            change = (drawn - values[nth])[codes]
            errors -= change if factor is None else change * factor
            values[nth] = drawn
    total = weights.sum()
    moved = rng.normal((weights * errors).sum() / total, (noise * total) ** -0.5)
    return offset + moved, float((weights * (errors - moved) ** 2).mean())
