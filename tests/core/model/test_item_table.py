"""The item table: what encoders say, combined."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import Tensor

from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.model.item_embeddings import ItemTable
from p5core.testing.toys import FreeVectors

N_ITEMS, WIDTH = 5, 3


def encoders(n: int) -> list[FreeVectors]:
    catalogue = Catalogue(pd.DataFrame({"item": range(N_ITEMS), "domain": "default"}))
    return [FreeVectors(NoOptions(), catalogue, WIDTH) for _ in range(n)]


def parts(table: ItemTable) -> Tensor:
    return torch.stack([one.vectors.weight for one in table.encoders])


def test_one_encoder_speaks_alone() -> None:
    for combine in ("sum", "gated"):
        table = ItemTable(encoders(1), combine)
        assert table.gate is None
        assert torch.equal(table.vectors(), parts(table)[0])


def test_several_encoders_are_summed() -> None:
    table = ItemTable(encoders(3), "sum")
    assert torch.allclose(table.vectors(), parts(table).sum(dim=0))
    assert torch.equal(table.vectors(torch.tensor([4, 0, 4])), table.vectors()[[4, 0, 4]])


def test_a_gate_mixes_them_in_shares_that_add_up_to_one() -> None:
    table = ItemTable(encoders(2), "gated")
    assert table.gate is not None
    one, other = parts(table)
    share = torch.sigmoid(table.gate(one) - table.gate(other))  # the softmax of two
    assert torch.allclose(table.vectors(), share * one + (1 - share) * other, atol=1e-6)
    torch.nn.init.zeros_(table.gate.weight)
    assert torch.allclose(table.vectors(), (one + other) / 2, atol=1e-6)


def test_frequencies_are_smoothed_and_add_up_to_one() -> None:
    table = ItemTable(encoders(1), "sum")
    assert table.log_frequency.exp().tolist() == pytest.approx([0.2] * N_ITEMS)
    table.counts.copy_(torch.tensor([3.0, 0, 1, 0, 1]))
    assert table.log_frequency.exp().tolist() == pytest.approx([0.4, 0.1, 0.2, 0.1, 0.2])
    assert "counts" in table.state_dict()


def test_rows_are_named_as_the_state_names_them() -> None:
    table = ItemTable(encoders(2), "gated")
    labels = table.row_labels()
    assert set(labels) == {"encoders.0.vectors.weight", "encoders.1.vectors.weight"}
    assert all(len(rows) == len(table.state_dict()[name]) for name, rows in labels.items())


def test_unit_vectors_have_length_one() -> None:
    table = ItemTable(encoders(2), "sum", unit=True)
    plain = ItemTable(list(table.encoders), "sum").vectors()
    torch.testing.assert_close(table.vectors(), plain / plain.norm(dim=1, keepdim=True))
    torch.testing.assert_close(table.vectors(torch.tensor([1])), table.vectors()[1:2])
