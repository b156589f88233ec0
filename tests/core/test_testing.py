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
from p5core.contracts.encoder import Encoder, Features, RowLabels
from p5core.contracts.loader import Loader
from p5core.contracts.loss import Candidates, RankingLoss
from p5core.contracts.metric import AtK, EvalResult, Metric
from p5core.contracts.part import Part
from p5core.contracts.preset import Preset
from p5core.contracts.scorer import Scorer
from p5core.contracts.split import Split
from p5core.contracts.task import FollowingTask, Task, TaskInfo, TaskNetwork, TrainingData
from p5core.contracts.tracker import RunEvent, Tracker, ValidationEvent
from p5core.data.batch import Batch, Rows, bucket_by_length, cut_windows, gather_padded
from p5core.data.catalogue import Catalogue, Entities
from p5core.data.dataset import Dataset, Events, Ragged
from p5core.data.raw import RawData
from p5core.errors import P5Error
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.kinds import KINDS
from p5core.testing import Case, cases
from p5core.testing.toys import FreeVectors, PastMean


class Fixed(Backbone):
    """Does nothing with its weight, and reads the future though it says it does not."""

    name = "fixed"
    causal = True
    reads_order = False

    def setup(self) -> None:
        self.idle = nn.Linear(self.width, self.width)

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

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.vector = nn.Parameter(torch.ones(width))

    def forward(self, codes: Tensor) -> Tensor:
        return self.vector.expand(len(codes), -1) * (1 + len(codes))


class Unlabelled(FreeVectors):
    """Does not say which row belongs to which item."""

    name = "unlabelled"

    def row_labels(self) -> Mapping[str, RowLabels]:
        return {}


class Hashed(FreeVectors):
    """Features by `hash`, which differs between processes."""

    name = "hashed"

    @classmethod
    def features(cls, config: Any, entities: Entities) -> Features:
        hashed = np.array([hash(one) for one in entities.frame["item"].astype("str")])
        return Features(len(entities), {"hashed": hashed})


class Short(PastMean):
    """NaN for histories of more than 15 items."""

    name = "short"

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        states = super().forward(vectors, real)
        return states * torch.nan if vectors.shape[1] > 15 else states


class Pooled(PastMean):
    """Takes statistics over padding while it is trained."""

    name = "pooled"

    def setup(self) -> None:
        super().setup()
        self.norm = nn.BatchNorm1d(self.width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        states = super().forward(vectors, real)
        return self.norm(states.flatten(0, 1)).view_as(states)


class Branching(PastMean):
    """Chooses its way by the data, which no graph can hold."""

    name = "branching"

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        states = super().forward(vectors, real)
        return states if float(states.detach().sum()) > 0 else states * 2


class Idle(FollowingTask):
    """Makes layers that its loss does not use."""

    name = "idle"
    metrics = ("ndcg@10",)

    def layers(self, info: TaskInfo) -> nn.Module:
        return nn.Linear(info.width, 1)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        return network.states(batch).square().mean()


class Peeking(Task):
    """Asks for what can be read, draws from a generator of its own and ignores the budget."""

    name = "peeking"
    metrics = ("no_such_metric",)

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        return

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Rows]:
        return bucket_by_length(cut_windows(data.events, 5, 0, 1), 1000, np.random.default_rng())

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        items = torch.from_numpy(gather_padded(data.events.items, rows.starts, rows.lengths).astype(np.int64))
        users = torch.from_numpy(rows.users.astype(np.int64))
        return Batch(users, items, torch.from_numpy(rows.lengths), items)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        return network.states(batch).sum(dim=-1)


class Backwards(RankingLoss):
    """Grows as the right score rises, differently each time."""

    name = "backwards"

    def __call__(self, states: Tensor, targets: Tensor, candidates: Candidates) -> Tensor:
        scores = states @ candidates.vectors().T
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


class Shallow(Metric):
    """Mean length of the lists, without saying how deep they should be."""

    name = "shallow"
    Config = AtK
    needs = "lists"
    depth = 1
    bounds = (0.0, np.inf)

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        assert result.lists is not None
        return (result.lists >= 0).sum(axis=1).astype(np.float64)


class Lottery(Split):
    """Draws on its own and gives one event no role."""

    name = "lottery"

    def roles(self, data: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        return np.random.default_rng().integers(0, 5, len(data.events)).astype(np.int8)


class Moody(Scorer):
    """Scores that depend on the other histories, are shared with the caller and cannot be stored."""

    name = "moody"

    def fit(self, events: Events, catalogue: Catalogue) -> None:
        self.memory = torch.randn(len(catalogue))

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        return (self.memory * len(histories)).expand(len(histories), -1)


class Wordy(Preset):
    """Writes what is no experiment."""

    name = "wordy"

    def sections(self, dataset: Dataset | None) -> str:
        return "[model]\nwidht = 3\n"


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
    name = "forgetful"
    Config = Bare

    def log(self, event: RunEvent) -> None:
        if isinstance(event, ValidationEvent):
            cast("dict[str, float]", event.metrics)["seen"] = 1.0
        (self.folder / "log").write_text(str(np.random.default_rng().random()))


class _Broken:
    """A plugin with all of them."""

    @hookimpl
    def p5_backbones(self) -> list[type[Part]]:
        return [Fixed, Deaf, Short, Pooled, Branching]

    @hookimpl
    def p5_encoders(self) -> list[type[Part]]:
        return [Flat, Unlabelled, Hashed]

    @hookimpl
    def p5_tasks(self) -> list[type[Part]]:
        return [Peeking, Idle]

    @hookimpl
    def p5_losses(self) -> list[type[Part]]:
        return [Backwards]

    @hookimpl
    def p5_metrics(self) -> list[type[Part]]:
        return [Rank, Jumpy, Shallow]

    @hookimpl
    def p5_loaders(self) -> list[type[Part]]:
        return [Dice, Keyless]

    @hookimpl
    def p5_splits(self) -> list[type[Part]]:
        return [Lottery]

    @hookimpl
    def p5_scorers(self) -> list[type[Part]]:
        return [Moody]

    @hookimpl
    def p5_presets(self) -> list[type[Part]]:
        return [Wordy]

    @hookimpl
    def p5_trackers(self) -> list[type[Part]]:
        return [Forgetful]


REGISTRY = load_plugins([("broken", _Broken())])
CASES = cases(REGISTRY, distribution="broken")

FAULTS = {
    "backbone-fixed-the_future_does_not_change_the_past": "causal = True, but a change",
    "backbone-fixed-order_is_read_or_not": "reads_order = False, but the order",
    "backbone-fixed-padding_changes_nothing": "changes states of real positions",
    "backbone-fixed-each_history_stands_alone": "depend on the other histories",
    "backbone-fixed-every_parameter_gets_a_gradient": "'idle.weight' gets no gradient",
    "backbone-deaf-states_have_the_shape_of_the_input": "became",
    "encoder-flat-items_differ": "All items have the same vector",
    "encoder-flat-a_selection_equals_the_whole": "which items are asked for with it",
    "encoder-unlabelled-known_items_keep_their_vectors": "row_labels",
    "backbone-short-long_histories_stay_finite": "histories of 16 items must be finite",
    "backbone-pooled-padding_is_not_learnt_from": "While training, values at padding change",
    "backbone-branching-an_export_equals_the_network": "It cannot be exported",
    "encoder-hashed-another_process_computes_the_same_features": "two hash seeds give different arrays",
    "metric-shallow-other_metrics_change_nothing": "does it say its `depth`",
    "split-lottery-equal_generators_give_equal_roles": "gave two different splits",
    "split-lottery-every_event_has_a_role": "holds a number that is no Role",
    "scorer-moody-each_history_stands_alone": "depend on the histories asked for beside",
    "scorer-moody-fitting_again_gives_the_same": "Two fits of the same events differ",
    "preset-wordy-writes_an_experiment": "unknown option 'widht'",
    "task-idle-trains_in_the_real_engine": "Training changes none of the task's own layers",
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
    "tracker-forgetful-has_a_description": "no docstring",
    "tracker-forgetful-options_are_documented": "no docstring under size",
    "tracker-forgetful-takes_every_kind_of_event": "changes the event",
}


@pytest.mark.parametrize("case", [one for one in CASES if str(one) in FAULTS], ids=str)
def test_a_broken_promise_is_found(case: Case) -> None:
    with pytest.raises((AssertionError, P5Error), match=FAULTS[str(case)]):
        case.run(REGISTRY)


def test_every_fault_names_a_check_and_every_kind_has_one() -> None:
    assert set(FAULTS) <= {str(one) for one in CASES}
    assert {fault.split("-")[0] for fault in FAULTS} == set(KINDS)
