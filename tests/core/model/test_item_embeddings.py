"""Item vectors: those of encoders, combined; and the items of each domain."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from p5core.contracts.encoder import Features, RowLabels
from p5core.contracts.part import NoOptions
from p5core.model.item_embeddings import ItemEmbeddings
from p5core.testing.toys import FreeVectors, Softmax

N_ITEMS, WIDTH = 5, 3


def encoders(n: int) -> list[FreeVectors]:
    return [FreeVectors(NoOptions(), Features(N_ITEMS), WIDTH) for _ in range(n)]


def parts(items: ItemEmbeddings) -> Tensor:
    return torch.stack([one.vectors.weight for one in items.encoders])


def test_one_encoder_speaks_alone() -> None:
    for combine in ("sum", "gated"):
        items = ItemEmbeddings(encoders(1), combine)
        assert items.gate is None
        assert torch.equal(items.vectors(), parts(items)[0])


def test_several_encoders_are_summed() -> None:
    items = ItemEmbeddings(encoders(3), "sum")
    assert torch.allclose(items.vectors(), parts(items).sum(dim=0))
    assert torch.equal(items.vectors(torch.tensor([4, 0, 4])), items.vectors()[[4, 0, 4]])


def test_a_gate_mixes_them_in_shares_that_add_up_to_one() -> None:
    items = ItemEmbeddings(encoders(2), "gated")
    assert items.gate is not None
    one, other = parts(items)
    share = torch.sigmoid(items.gate(one) - items.gate(other))  # the softmax of two
    assert torch.allclose(items.vectors(), share * one + (1 - share) * other, atol=1e-6)
    torch.nn.init.zeros_(items.gate.weight)
    assert torch.allclose(items.vectors(), (one + other) / 2, atol=1e-6)


def test_frequencies_are_smoothed_and_add_up_to_one() -> None:
    items = ItemEmbeddings(encoders(1), "sum")
    assert items.log_frequency.exp().tolist() == pytest.approx([0.2] * N_ITEMS)
    items.counts.copy_(torch.tensor([3.0, 0, 1, 0, 1]))
    assert items.log_frequency.exp().tolist() == pytest.approx([0.4, 0.1, 0.2, 0.1, 0.2])
    assert "counts" in items.state_dict()


def test_rows_are_named_as_the_state_names_them() -> None:
    items = ItemEmbeddings(encoders(2), "gated")
    labels = items.row_labels()
    assert set(labels) == {"encoders.0.vectors.weight", "encoders.1.vectors.weight"}
    assert set(labels.values()) == {"item"}
    assert set(labels) <= set(items.state_dict())


def test_unit_vectors_have_length_one() -> None:
    items = ItemEmbeddings(encoders(2), "sum", unit=True)
    plain = ItemEmbeddings(list(items.encoders), "sum").vectors()
    torch.testing.assert_close(items.vectors(), plain / plain.norm(dim=1, keepdim=True))
    torch.testing.assert_close(items.vectors(torch.tensor([1])), items.vectors()[1:2])


def test_each_domain_has_candidates_of_its_own() -> None:
    items = ItemEmbeddings(encoders(1), domain_codes=np.array([0, 1, 0, 1, 1]))
    items.counts.copy_(torch.tensor([3.0, 0, 1, 0, 1]))
    (films, film_items), (books, book_items) = items.domains()
    assert films.tolist() == [0, -1, 1, -1, -1]
    assert books.tolist() == [-1, 0, -1, 1, 2]
    assert (film_items.n_items, book_items.n_items) == (2, 3)
    assert torch.equal(book_items.vectors(), items.vectors()[[1, 3, 4]])
    assert torch.equal(book_items.vectors(torch.tensor([2, 0])), items.vectors()[[4, 1]])
    assert film_items.log_frequency.exp().tolist() == pytest.approx([4 / 6, 2 / 6])
    assert set(items.state_dict()) == {"encoders.0.vectors.weight", "counts"}
    assert ItemEmbeddings(encoders(1)).domains() == ()


class Told(FreeVectors):
    """Vectors that are content: they have no row of their own for each item."""

    def row_labels(self) -> dict[str, RowLabels]:
        return {}


def test_items_without_events_are_no_negatives_where_content_is_read() -> None:
    counts = np.array([3, 0, 1, 0, 1])
    by_id, by_content = (ItemEmbeddings([kind(NoOptions(), Features(N_ITEMS), WIDTH)]) for kind in (FreeVectors, Told))
    for items in (by_id, by_content):
        items.count(counts)
        assert items.counts.tolist() == counts.tolist()
    assert by_id.domains() == ()
    ((positions, candidates),) = by_content.domains()
    assert positions.tolist() == [0, -1, 1, -1, 2]
    assert torch.equal(candidates.vectors(), by_content.vectors()[[0, 2, 4]])
    states, targets = torch.randn(4, WIDTH), torch.tensor([0, 4, 2, 2])
    scores = states @ by_content.vectors()[[0, 2, 4]].T
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 2, 1, 1]))
    loss = Softmax(NoOptions()).within_domains(states, targets, by_content)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    by_content.count(np.ones(N_ITEMS, dtype=np.int64))
    assert by_content.domains() == ()


def test_new_items_of_one_domain_leave_the_other_as_it_was() -> None:
    items = ItemEmbeddings([Told(NoOptions(), Features(N_ITEMS), WIDTH)], domain_codes=np.array([0, 1, 0, 1, 1]))
    items.count(np.array([3, 0, 1, 2, 1]))
    (films, _), (books, book_items) = items.domains()
    assert films.tolist() == [0, -1, 1, -1, -1]
    assert books.tolist() == [-1, -1, -1, 0, 1]
    assert book_items.n_items == 2


def test_negatives_of_a_target_are_of_its_own_domain() -> None:
    items = ItemEmbeddings(encoders(1), domain_codes=np.array([0, 1, 0, 1, 1]))
    states, targets = torch.randn(4, WIDTH), torch.tensor([0, 4, 2, 3])
    loss = Softmax(NoOptions()).within_domains(states, targets, items)
    scores = states @ items.vectors().T
    for row, target in enumerate(targets.tolist()):
        others = [0, 2] if target in (1, 3, 4) else [1, 3, 4]
        scores[row, others] = -torch.inf
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(scores, targets))
    items.encoders[0].vectors.weight.grad = None
    Softmax(NoOptions()).within_domains(states[:1], targets[:1], items).backward()
    gradient = items.encoders[0].vectors.weight.grad
    assert gradient is not None
    assert gradient[[0, 2]].any()
    assert not gradient[[1, 3, 4]].any()
