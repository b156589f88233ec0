"""The leave-one-out split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from p5core.contracts.split import Split
from p5core.data.dataset import Dataset
from p5core.data.holdout import Role

__all__ = ["LeaveOneOut", "last_two"]


class LeaveOneOut(Split):
    """Tests on each user's last event and validates on the one before it. Users below three events only train."""

    name = "leave_one_out"
    is_default = True

    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        return last_two(dataset)


def last_two(dataset: Dataset) -> npt.NDArray[np.int8]:
    """(N,) roles: the last event of each user with three or more tests, the one before it validates."""
    events = dataset.events
    roles = np.full(len(events), Role.TRAIN, dtype=np.int8)
    ends = events.offsets[1:][np.diff(events.offsets) >= 3]
    roles[ends - 1] = Role.TEST
    roles[ends - 2] = Role.VALIDATION
    return roles
