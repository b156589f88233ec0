"""What every item encoder promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from p5core.contracts.encoder import Encoder
from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError
from p5core.model.warm_start import warm_start
from p5core.testing.tensors import assert_close, assert_finite, assert_gradients, copy_weights, seeded
from p5core.testing.toys import PastMean, build_network
from p5core.testing.world import World

if TYPE_CHECKING:
    from p5core.testing.conformance import Subject

__all__ = ["CHECKS"]

WIDTH = 8


def vectors_have_the_width(subject: Subject) -> None:
    """Codes (N,) become finite vectors (N, D), for items with missing features too, and for no item at all."""
    encoder = _build(subject, subject.world.catalogue)
    for n in (0, 1, subject.world.n_items):
        vectors = encoder(torch.arange(n))
        assert vectors.shape == (n, WIDTH), f"{n} codes became vectors of shape {tuple(vectors.shape)}."
        assert_finite(vectors, "Item vectors")


def items_differ(subject: Subject) -> None:
    """Not every item has the same vector."""
    vectors = _all_vectors(_build(subject, subject.world.catalogue))
    assert not torch.allclose(vectors, vectors[:1].expand_as(vectors)), "All items have the same vector."


def a_selection_equals_the_whole(subject: Subject) -> None:
    """An item's vector is the same alone, in any order and more than once."""
    encoder = _build(subject, subject.world.catalogue)
    codes = torch.cat([torch.randperm(subject.world.n_items)[:7], torch.tensor([0, 0, subject.world.n_items - 1])])
    assert_close(encoder(codes), _all_vectors(encoder)[codes], "A vector depends on which items are asked for with it.")


def every_parameter_gets_a_gradient(subject: Subject) -> None:
    """No parameter is idle when all items are encoded."""
    encoder = _build(subject, subject.world.catalogue).train()
    weights = torch.randn(subject.world.n_items, WIDTH)
    assert_gradients(encoder, lambda: (_all_vectors(encoder) * weights).sum())


def weights_survive_a_file(subject: Subject) -> None:
    """Weights written to safetensors and read into an encoder of the same catalogue give the same vectors."""
    encoder, fresh = _build(subject, subject.world.catalogue), _build(subject, subject.world.catalogue)
    copy_weights(encoder, fresh)
    assert_close(_all_vectors(fresh), _all_vectors(encoder), "Stored weights give other vectors.")


def row_labels_match_the_rows(subject: Subject) -> None:
    """`row_labels` names tensors of the state dict, with one label a row and none twice."""
    encoder = _build(subject, subject.world.catalogue)
    stored = encoder.state_dict()
    for name, labels in encoder.row_labels().items():
        assert name in stored, f"row_labels names '{name}', which is not in the state dict: {', '.join(stored)}."
        n_rows = len(stored[name])
        assert len(labels) == n_rows, f"row_labels gives {len(labels)} labels for the {n_rows} rows of '{name}'."
        assert len(set(labels)) == n_rows, f"row_labels gives one label to several rows of '{name}'."


def known_items_keep_their_vectors(subject: Subject) -> None:
    """With a larger catalogue in another order, items that were known keep their vectors."""
    frame = subject.world.catalogue.frame
    known = Catalogue(frame.iloc[::2].reset_index(drop=True))
    grown = Catalogue(frame.iloc[::-1].reset_index(drop=True))
    before, after = _build(subject, known), _build(subject, grown)
    try:
        _carry_over(before, known, after, grown, subject.world)
    except ConfigError as error:
        raise AssertionError(f"A grown catalogue does not fit; does row_labels name all that grows? {error}") from error
    places = torch.from_numpy(grown.encode(known.frame["item"].tolist())).long()
    assert_close(after(places), _all_vectors(before), "Known items change their vectors when the catalogue grows.")
    assert_finite(_all_vectors(after), "Vectors of new items")


def _carry_over(before: Encoder, known: Catalogue, after: Encoder, grown: Catalogue, world: World) -> None:
    old = build_network(_backbone(), World(known, world.events), before)
    new = build_network(_backbone(), World(grown, world.events), after)
    warm_start(new, old.state_dict(), old.row_labels())


def _backbone() -> PastMean:
    return PastMean(NoOptions(), WIDTH, 1)


def _build(subject: Subject, catalogue: Catalogue) -> Encoder:
    return cast("Encoder", subject.build(catalogue, WIDTH)).eval()


def _all_vectors(encoder: Encoder) -> Tensor:
    return cast("Tensor", encoder(torch.arange(encoder.n_items)))


CHECKS = seeded(
    vectors_have_the_width,
    items_differ,
    a_selection_equals_the_whole,
    every_parameter_gets_a_gradient,
    weights_survive_a_file,
    row_labels_match_the_rows,
    known_items_keep_their_vectors,
)
