"""The serving form of a finished run: its model beside the raw ids that go in and come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from p5core.contracts.task import Output, Task
from p5core.data.columns import DOMAIN, ITEM
from p5core.data.dataset import Dataset
from p5core.data.ids import ItemIds
from p5core.data.vocabulary import Vocabulary
from p5core.errors import ExportError, did_you_mean
from p5core.fitting.trained_model import TrainedModel
from p5core.model.blend import Blend
from p5core.model.network import Network
from p5export.quantisation.product import Product

__all__ = ["ExportOptions", "Prediction", "Serving", "serving_of"]


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export."""

    exclude_seen: bool | None = None
    """leave items of the history out of the recommendations; None: as in the run's evaluation"""

    max_length: int | None = None
    """newest history items that are read; as trained when None"""

    popular: bool = True
    """answer an empty or unknown history with the popular items; with nothing otherwise"""

    allow: Sequence[str] | None = None
    """raw ids of the only items that may be recommended; all when None"""

    metadata: Sequence[str] = ()
    """columns of the items table to return beside each item, such as title"""

    quantize: str = "none"
    """"none", "fp16", "int8", "weight8" or "product": see `p5export.quantisation.item_vectors`"""

    subvectors: int | None = None
    """pieces of a vector, a byte each, for "product"; a quarter of the width when None"""

    force: bool = False
    """keep a quantised file whose ranking lost more than it should"""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A value or probability that a task predicts of an item."""

    task: Task
    name: str
    output: Output


@dataclass(frozen=True, eq=False)
class Serving:
    """V items that a history may hold, of which A may be recommended, and the network that ranks them."""

    model: TrainedModel
    rows: npt.NDArray[np.int64]
    """(V,) their codes in the run's catalogue"""

    items: Vocabulary
    """V raw ids, in the order of `rows`"""

    vectors: npt.NDArray[np.float32]
    """(V, D) item vectors, ids and content together"""

    allowed: npt.NDArray[np.int64]
    """(A,) places among the V items, ascending"""

    popularity: npt.NDArray[np.float32]
    """(V,) log share of the training events"""

    metadata: Mapping[str, Sequence[str]]
    """column → V texts"""

    users: Vocabulary | None
    """U raw ids, for a model that knows users by their vectors"""

    seen: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None
    """(U + 1,) offsets and (n,) places of the items that each user has, for such a model"""

    max_length: int
    options: ExportOptions

    @cached_property
    def stored(self) -> npt.NDArray[np.float32] | Product:
        """The item vectors, or what product quantisation makes of them."""
        is_product = self.options.quantize == "product"
        return Product.fit(self.vectors, self.options.subvectors) if is_product else self.vectors

    @property
    def uses_history(self) -> bool:
        """True if the model reads a history, False if it reads the vector of a user."""
        return self.users is None

    @property
    def network(self) -> Network:
        """The trained network."""
        return self.model.network

    @property
    def blend(self) -> Blend | None:
        """The scorers that are blended with the network, if any has a weight."""
        blend = self.model.blend
        return blend if blend is not None and blend.is_used else None

    @cached_property
    def predictions(self) -> Mapping[str, Prediction]:
        """Name of an output → what `score.onnx` predicts beside scores."""
        predictions: dict[str, Prediction] = {}
        for task in self.model.tasks:
            for name, output in task.outputs.items():
                if output.kind in ("value", "probability"):
                    predictions.setdefault(name, Prediction(task, name, output))
        return predictions


def serving_of(model: TrainedModel, dataset: Dataset, options: ExportOptions) -> Serving:
    """Choose the items of the run's domain; raises ExportError for options that do not fit."""
    if options.subvectors is not None and options.quantize != "product":
        raise ExportError("Vectors are cut into pieces by --quantize product alone; leave --subvectors out.")
    network, max_length = model.network, model.max_length
    rows = ItemIds.of(dataset).codes.astype(np.int64)
    frame = dataset.catalogue.frame.iloc[rows]
    if frame[ITEM].duplicated().any():
        domains = ", ".join(sorted(frame[DOMAIN].unique()))
        raise ExportError(
            f"The domains {domains} share raw ids, so a raw id names no item. Export a run of one domain."
        )
    if model.blend is not None and model.blend.is_used and len(rows) < len(dataset.catalogue):
        raise ExportError("A model with a blend is exported from a run of one domain; this one has several.")
    items = Vocabulary.of(frame[ITEM].to_numpy())
    history = network.backbone.uses_history
    _refuse_nul(items, "item")
    if not history:
        _refuse_nul(dataset.users, "user")
    length = options.max_length or max_length
    if length > max_length:
        raise ExportError(f"max_length {length} is more than the {max_length} items that the model was built for.")
    return Serving(
        model=model,
        rows=rows,
        items=items,
        vectors=_vectors(network, rows),
        allowed=_allowed(items, options.allow),
        popularity=network.items.log_frequency.detach().cpu().numpy()[rows].astype(np.float32),
        metadata={name: _texts(frame, name) for name in options.metadata},
        users=None if history else dataset.users,
        seen=None if history else _seen(dataset, rows),
        max_length=length,
        options=options,
    )


def _refuse_nul(ids: Vocabulary, what: str) -> None:
    """ONNX Runtime cuts texts at a NUL in JavaScript and C++, where such an id would name another one."""
    wrong = next((raw_id for raw_id in ids.ids if "\0" in raw_id), None) if ids.kind == "string" else None
    if wrong is not None:
        raise ExportError(f"The {what} id {wrong!r} holds a NUL, at which other languages cut texts. Rename it.")


def _vectors(network: Network, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        vectors: npt.NDArray[np.float32] = (
            network.items.vectors(torch.from_numpy(rows).to(network.items.counts.device)).float().cpu().numpy()
        )
    return np.ascontiguousarray(vectors)


def _allowed(items: Vocabulary, allow: Sequence[str] | None) -> npt.NDArray[np.int64]:
    if allow is None:
        return np.arange(len(items))
    places = items.encode(list(allow))
    if not len(places):
        raise ExportError("The allow list is empty; nothing could be recommended.")
    if (places < 0).any():
        unknown = allow[int(np.argmax(places < 0))]
        n = int((places < 0).sum())
        raise ExportError(f"{n} items of the allow list are unknown to the run, such as {unknown!r}.")
    return np.unique(places).astype(np.int64)


def _texts(frame: Any, column: str) -> list[str]:
    columns = [name for name in frame.columns if name not in (ITEM, DOMAIN)]
    if column not in columns:
        listed = ", ".join(columns) or "none"
        raise ExportError(f"The items have no column '{column}'.{did_you_mean(column, columns)} Columns: {listed}.")
    return ["" if _is_missing(value) else str(value) for value in frame[column].tolist()]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _seen(dataset: Dataset, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The items of each user among `rows`, each once."""
    place = np.full(len(dataset.catalogue), -1)
    place[rows] = np.arange(len(rows))
    events = dataset.events
    pairs = np.stack([events.users, place[events.items]], axis=1)
    pairs = np.unique(pairs[pairs[:, 1] >= 0], axis=0)
    counts = np.bincount(pairs[:, 0], minlength=events.n_users)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), pairs[:, 1].astype(np.int64)
