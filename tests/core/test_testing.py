"""The conformance kit finds what is broken: for each promise a part that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from p5core.config.base import Config
from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import Encoder
from p5core.contracts.eval_result import EvalResult
from p5core.contracts.loader import Loader
from p5core.contracts.loss import ItemScorer, RankingLoss
from p5core.contracts.metric import AtK, Metric
from p5core.contracts.part import Part
from p5core.contracts.task import Task, TrainingData
from p5core.contracts.tracker import Tracker
from p5core.data.batch import Batch, Rows, bucket_by_length, cut_windows, gather_padded
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events
from p5core.data.raw import RawData
from p5core.errors import P5Error
from p5core.model.network import Network
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.registry import KINDS, load_plugins
from p5core.testing import Case, cases
from p5core.testing.toys import FreeVectors, PastMean


class Fixed(Backbone):
    """Does nothing with its weight, and reads the future though it says it does not."""

    name = "fixed"
    causal = True

    def __init__(self, config: Any, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.idle = nn.Linear(width, width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        return vectors + vectors.mean(dim=(0, 1), keepdim=True)


class Deaf(PastMean):
    """Gives every place the vector of that place alone, in float16, and another shape."""

    name = "deaf"

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        return torch.where(vectors > 1, torch.nan, vectors)[..., :-1]


class Flat(Encoder):
    """The same vector for every item."""

    name = "flat"

    def __init__(self, config: Any, catalogue: Catalogue, width: int) -> None:
        super().__init__(config, catalogue, width)
        self.vector = nn.Parameter(torch.ones(width))

    def forward(self, codes: Tensor) -> Tensor:
        return self.vector.expand(len(codes), -1) * (1 + len(codes))


class Unlabelled(FreeVectors):
    """Does not say which row belongs to which item."""

    name = "unlabelled"

    def row_labels(self) -> Mapping[str, Sequence[str]]:
        return {}


class Peeking(Task):
    """Asks for what can be read, draws from a generator of its own and ignores the budget."""

    name = "peeking"
    metrics = ("no_such_metric",)

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        return

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        return bucket_by_length(cut_windows(data.events, 5, 0, 1), 1000, np.random.default_rng())

    def batch(self, data: TrainingData, rows: Rows, rng: np.random.Generator) -> Batch:
        items = torch.from_numpy(gather_padded(data.events.items, rows.starts, rows.lengths).astype(np.int64))
        users = torch.from_numpy(rows.users.astype(np.int64))
        return Batch(users, items, torch.from_numpy(rows.lengths), items)

    def loss(self, network: Network, batch: Batch) -> Tensor:
        return network.states(batch).sum(dim=-1)


class Backwards(RankingLoss):
    """Grows as the right score rises, differently each time."""

    name = "backwards"

    def __call__(self, states: Tensor, targets: Tensor, items: ItemScorer) -> Tensor:
        scores = states @ items.vectors().T
        return scores.gather(1, targets[:, None]).sum() + float(np.random.default_rng().random())


class Rank(Metric):
    """The first rank, as if more were better, with the number of users in it."""

    name = "mean_rank"
    Config = AtK
    needs = "ranks"
    bounds = (0.0, np.inf)

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        assert result.ranks is not None
        return result.ranks.ranks[result.ranks.offsets[:-1]] * len(result.ranks.n_targets)


class Jumpy(Metric):
    """Two where two items tie, though one is the most."""

    name = "jumpy"
    needs = "ranks"

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        assert result.ranks is not None
        return (result.ranks.ranks[result.ranks.offsets[:-1]] % 1 > 0) * 2.0


class Dice(Loader):
    """Other events each time."""

    name = "dice"

    def load(self) -> RawData:
        return RawData(
            pd.DataFrame({"user": np.arange(1000) % 2, "item": np.random.default_rng().permutation(1000)}),
            source="dice",
        )


class Keyless(Loader):
    """A table of items without their ids."""

    name = "keyless"

    def load(self) -> RawData:
        return RawData(pd.DataFrame({"user": [1], "item": [1]}), items=pd.DataFrame({"id": [1]}), source="keyless")


class Bare(Config):
    size: int = 1


class Forgetful(Tracker):
    name = "Forgetful"
    Config = Bare

    def log(self, event: Mapping[str, Any]) -> None:
        cast("dict[str, Any]", event)["seen"] = True
        (self.folder / "log").write_text(str(np.random.default_rng().random()))


class _Broken:
    """A plugin with all of them."""

    @hookimpl
    def p5_backbones(self) -> list[type[Part]]:
        return [Fixed, Deaf]

    @hookimpl
    def p5_encoders(self) -> list[type[Part]]:
        return [Flat, Unlabelled]

    @hookimpl
    def p5_tasks(self) -> list[type[Part]]:
        return [Peeking]

    @hookimpl
    def p5_losses(self) -> list[type[Part]]:
        return [Backwards]

    @hookimpl
    def p5_metrics(self) -> list[type[Part]]:
        return [Rank, Jumpy]

    @hookimpl
    def p5_loaders(self) -> list[type[Part]]:
        return [Dice, Keyless]

    @hookimpl
    def p5_trackers(self) -> list[type[Part]]:
        return [Forgetful]


REGISTRY = load_plugins([("broken", _Broken())])
CASES = cases(REGISTRY, distribution="broken")

FAULTS = {
    "backbone-fixed-the_future_does_not_change_the_past": "causal = True, but a change",
    "backbone-fixed-padding_changes_nothing": "changes states of real positions",
    "backbone-fixed-each_history_stands_alone": "depend on the other histories",
    "backbone-fixed-every_parameter_gets_a_gradient": "'idle.weight' gets no gradient",
    "backbone-deaf-states_have_the_shape_of_the_input": "became",
    "encoder-flat-items_differ": "All items have the same vector",
    "encoder-flat-a_selection_equals_the_whole": "which items are asked for with it",
    "encoder-unlabelled-known_items_keep_their_vectors": "row_labels",
    "task-peeking-metrics_are_installed": "no_such_metric",
    "task-peeking-batches_keep_the_budget": "exceeds the budget",
    "task-peeking-batches_follow_their_generator": "two different epochs",
    "task-peeking-targets_are_hidden": "can be read from the history",
    "task-peeking-the_loss_is_learnt_from": "it must be one number",
    "loss-backwards-being_right_pays": "must fall as the right answer gets better",
    "loss-backwards-draws_follow_the_global_generator": "With the same random state",
    "metric-jumpy-one_value_a_user_within_bounds": "leave the bounds",
    "metric-mean_rank-users_do_not_depend_on_each_other": "depends on the other users",
    "metric-mean_rank-being_right_is_best": "is higher_is_better right",
    "metric-jumpy-ties_lie_between": "Ranks 1, 1.5, 2 give",
    "loader-keyless-loads_an_interaction_log": "The items lack the column item",
    "loader-dice-loads_the_same_twice": "different events",
    "tracker-Forgetful-has_a_description": "must be lower case",
    "tracker-Forgetful-options_are_documented": "no docstring under size",
    "tracker-Forgetful-takes_every_kind_of_event": "changes the event",
}


@pytest.mark.parametrize("case", [one for one in CASES if str(one) in FAULTS], ids=str)
def test_a_broken_promise_is_found(case: Case) -> None:
    with pytest.raises((AssertionError, P5Error), match=FAULTS[str(case)]):
        case.run(REGISTRY)


def test_every_fault_names_a_check_and_every_kind_has_one() -> None:
    assert set(FAULTS) <= {str(one) for one in CASES}
    assert {fault.split("-")[0] for fault in FAULTS} == set(KINDS)
