"""Everything that a stopped training run needs to go on exactly where it was, in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from p5core.errors import RunError
from p5core.system.files import sha256
from p5core.training.hashed_tensors import read_hashed_tensors, write_hashed_tensors

__all__ = [
    "Progress",
    "load_checkpoint",
    "load_weights",
    "random_state",
    "save_checkpoint",
    "save_weights",
    "set_random_state",
]

OWNER = "run"
"""Key of the owner among the metadata of a file."""


@dataclass(frozen=True)
class Progress:
    """Counters of training."""

    stage: int = 0
    """stages that are finished"""

    epoch: int = 0
    """epochs of this stage that are finished"""

    batch: int = 0
    """batches of this epoch that are finished"""

    step: int = 0
    """optimiser steps of this stage"""

    best: float | None = None
    """best watched value of this stage, higher is better"""

    n_worse: int = 0
    """validations since the best one"""

    seconds: float = 0.0
    """training time of all stages"""

    def next_batch(self, n: int = 1) -> Progress:
        """After `n` batches and one optimiser step."""
        return replace(self, batch=self.batch + n, step=self.step + 1)

    def next_epoch(self) -> Progress:
        """After an epoch."""
        return replace(self, epoch=self.epoch + 1, batch=0)

    def next_stage(self) -> Progress:
        """After a stage."""
        return Progress(stage=self.stage + 1, seconds=self.seconds)


def random_state() -> Tensor:
    """State of this process's generators: the processor's, then that of its GPU."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state())
    return torch.cat(states)


def set_random_state(state: Tensor) -> None:
    """Put back what `random_state` gave; the state of a GPU is left out where there is none."""
    n = len(torch.get_rng_state())
    torch.set_rng_state(state[:n])
    if torch.cuda.is_available() and len(state) > n:
        torch.cuda.set_rng_state(state[n:])


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer | None,
    progress: Progress,
    random_states: Sequence[Tensor],
) -> None:
    """Write weights, optimiser moments, the random state of each process, and counters; atomic, nothing pickled."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if optimiser is not None:
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {f"random.{rank}": state for rank, state in enumerate(random_states)}
    _write(path, tensors, {"progress": json.dumps(asdict(progress))})


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the weights of a network; atomic."""
    _write(path, network.state_dict(), {})


def load_weights(path: Path, network: nn.Module) -> None:
    """Put weights of `save_weights` into a network; raises RunError when the file is damaged or another run's."""
    weights, _ = _read(path)
    network.load_state_dict(weights)


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    write_hashed_tensors(path, tensors, {**metadata, OWNER: _owner(path)})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    tensors, metadata = read_hashed_tensors(path)
    if metadata.get(OWNER) != _owner(path):
        raise RunError(f"{path} is of another run. Restore that of this run from a copy, or run it again.")
    return tensors, metadata


def _owner(path: Path) -> str:
    """The hash of the list of prepared files, which tells the run of a checkpoint from others; empty without one."""
    prepared = path.with_name("prepared.json")
    return sha256(prepared) if prepared.exists() else ""


def load_checkpoint(path: Path, rank: int = 0) -> tuple[dict[str, Tensor], dict[int, dict[str, Any]], Progress]:
    """Read what `save_checkpoint` wrote: weights, optimiser state by parameter, counters; sets this process's state.

    Raises RunError when the file is damaged.
    """
    tensors, metadata = _read(path)
    weights: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "network":
            weights[rest] = tensor
        elif kind == "optimiser":
            index, _, key = rest.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        elif name == f"random.{rank}":
            set_random_state(tensor)
    return weights, moments, Progress(**json.loads(metadata["progress"]))
