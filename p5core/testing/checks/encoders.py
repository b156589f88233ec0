"""The promises of every encoder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from p5core.contracts.encoder import Encoder, Features
from p5core.data.catalogue import Catalogue, Users
from p5core.data.columns import ITEM
from p5core.errors import ConfigError
from p5core.model.item_embeddings import EntityEmbeddings
from p5core.model.warm_start import Source, warm_start
from p5core.testing.engine import ENGINE_CHECKS, EXPORT_CHECKS
from p5core.testing.tensors import assert_close, assert_finite, assert_gradients, copy_weights, seeded

if TYPE_CHECKING:
    from p5core.testing.subject import Subject

__all__ = ["CHECKS", "remote_digest"]

WIDTH = 8


def vectors_have_the_width(subject: Subject) -> None:
    """Codes (N,) become finite vectors (N, D), for items with missing features too, and for no item at all."""
    encoder = _build(subject, subject.entities)
    for n in (0, 1, len(subject.entities)):
        vectors = encoder(torch.arange(n))
        assert vectors.shape == (n, WIDTH), f"{n} codes became vectors of shape {tuple(vectors.shape)}."
        assert_finite(vectors, "Item vectors")


def items_differ(subject: Subject) -> None:
    """Not every item has the same vector."""
    vectors = _all_vectors(_build(subject, subject.entities))
    assert not torch.allclose(vectors, vectors[:1].expand_as(vectors)), "All items have the same vector."


def a_selection_equals_the_whole(subject: Subject) -> None:
    """An item's vector is the same alone, in any order and more than once."""
    encoder = _build(subject, subject.entities)
    codes = torch.cat([torch.randperm(len(subject.entities))[:7], torch.tensor([0, 0, len(subject.entities) - 1])])
    assert_close(encoder(codes), _all_vectors(encoder)[codes], "A vector depends on which items are asked for with it.")


def every_parameter_gets_a_gradient(subject: Subject) -> None:
    """No parameter is idle when all items are encoded."""
    encoder = _build(subject, subject.entities).train()
    weights = torch.randn(len(subject.entities), WIDTH)
    assert_gradients(encoder, lambda: (_all_vectors(encoder) * weights).sum())


def features_are_pure(subject: Subject) -> None:
    """`features` gives the same twice, and changes nothing that it reads."""
    frame = subject.entities.frame
    before = frame.astype("str").copy()
    first, second = (subject.part.features(subject.config, subject.entities) for _ in range(2))
    assert _digest(first) == _digest(second), "Two calls of `features` give different arrays."
    assert frame.astype("str").equals(before), "`features` changes the items table."


def another_process_computes_the_same_features(subject: Subject) -> None:
    """`features` is the same in a process with another hash seed, if the class can be imported there."""
    part = subject.part
    if "<locals>" in part.__qualname__ or part.__module__ == "__main__":
        return
    script = "import sys; from p5core.testing.checks.encoders import remote_digest; print(remote_digest(*sys.argv[1:]))"
    options = json.dumps(subject.config.model_dump(mode="json", exclude_none=True))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
    digests = set()
    with tempfile.TemporaryDirectory(prefix="p5-kit-", ignore_cleanup_errors=True) as folder:
        table = Path(folder) / "entities.parquet"
        subject.entities.frame.to_parquet(table)
        command = [sys.executable, "-c", script, part.__module__, part.__qualname__, options, str(table)]
        for seed in ("1", "2"):
            done = subprocess.run(
                command, env={**environment, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"`features` fails in a process of its own: {done.stderr.strip()[-300:]}"
            digests.add(done.stdout.strip().splitlines()[-1])
    assert len(digests) == 1, "`features` depends on the process: two hash seeds give different arrays."


def remote_digest(module: str, name: str, options: str, table: str) -> str:
    """Digest of the features of an encoder's class for a table of items or users, in this process."""
    part: Any = import_module(module)
    for step in name.split("."):
        part = getattr(part, step)
    frame = pd.read_parquet(table)
    entities = Catalogue(frame) if ITEM in frame else Users(frame)
    return _digest(part.features(part.Config.model_validate(json.loads(options)), entities))


def _digest(features: Features) -> str:
    digest = hashlib.sha256(repr((features.n_rows, {k: list(v) for k, v in features.labels.items()})).encode())
    for name in sorted(features.arrays):
        digest.update(name.encode() + np.ascontiguousarray(features.arrays[name]).tobytes())
    return digest.hexdigest()


def weights_survive_a_file(subject: Subject) -> None:
    """Weights written to safetensors and read into an encoder of the same catalogue give the same vectors."""
    encoder, fresh = _build(subject, subject.entities), _build(subject, subject.entities)
    copy_weights(encoder, fresh)
    assert_close(_all_vectors(fresh), _all_vectors(encoder), "Stored weights give other vectors.")


def row_labels_match_the_rows(subject: Subject) -> None:
    """`row_labels` names tensors of the state dict, with one label a row and none twice."""
    encoder = _build(subject, subject.entities)
    stored = encoder.state_dict()
    for name, labels in encoder.row_labels().items():
        assert name in stored, f"row_labels names '{name}', which is not in the state dict: {', '.join(stored)}."
        n_rows = len(stored[name])
        if isinstance(labels, str):
            assert n_rows == encoder.n_rows, (
                f"row_labels says that '{name}' has a row for each {labels}; it has {n_rows}."
            )
            continue
        assert len(labels) == n_rows, f"row_labels gives {len(labels)} labels for the {n_rows} rows of '{name}'."
        assert len(set(labels)) == n_rows, f"row_labels gives one label to several rows of '{name}'."


def known_items_keep_their_vectors(subject: Subject) -> None:
    """With a larger catalogue in another order, items that were known keep their vectors."""
    whole = subject.entities
    half = type(whole)(whole.frame.iloc[::2].reset_index(drop=True))
    grown = type(whole)(whole.frame.iloc[::-1].reset_index(drop=True))
    features = subject.part.features(subject.config, half)
    before = _build(subject, half)
    after = cast("Encoder", subject.build(subject.part.extend(subject.config, grown, features), WIDTH)).eval()
    try:
        _carry_over(before, half.index, after, grown.index)
    except ConfigError as error:
        raise AssertionError(f"A grown catalogue does not fit; does row_labels name all that grows? {error}") from error
    places = torch.from_numpy(grown.index.get_indexer(half.index))
    assert_close(after(places), _all_vectors(before), "Known items change their vectors when the catalogue grows.")
    assert_finite(_all_vectors(after), "Vectors of new items")


def what_extend_needs_is_shared(subject: Subject) -> None:
    """`extend` computes the same from `shared` features, in which there are no entities."""
    features = subject.part.features(subject.config, subject.entities)
    shared = subject.part.shared(features)
    assert shared.n_rows == 0, f"`shared` keeps {shared.n_rows} entities; a pre-trained base would give them away."
    extended = [subject.part.extend(subject.config, subject.entities, base) for base in (features, shared)]
    assert _digest(extended[0]) == _digest(extended[1]), "`extend` gives other features when it reads `shared` ones."


def _carry_over(before: Encoder, half: pd.Index[Any], after: Encoder, grown: pd.Index[Any]) -> None:
    old = EntityEmbeddings([before])
    source = Source(old.state_dict(), old.row_labels(), {"item": half, "user": half})
    warm_start(EntityEmbeddings([after]), {"item": grown, "user": grown}, source)


def _build(subject: Subject, entities: Catalogue | Users) -> Encoder:
    features = subject.part.features(subject.config, entities)
    return cast("Encoder", subject.build(features, WIDTH)).eval()


def _all_vectors(encoder: Encoder) -> Tensor:
    return cast("Tensor", encoder(torch.arange(encoder.n_rows)))


CHECKS = seeded(
    vectors_have_the_width,
    items_differ,
    a_selection_equals_the_whole,
    every_parameter_gets_a_gradient,
    features_are_pure,
    another_process_computes_the_same_features,
    weights_survive_a_file,
    row_labels_match_the_rows,
    known_items_keep_their_vectors,
    what_extend_needs_is_shared,
    *ENGINE_CHECKS,
    *EXPORT_CHECKS,
)
