"""Training and scoring on fake tensors of another device: a tensor that stays on the processor is an error.

python tests/fake_device.py CHECK runs one check. No value is computed, so no GPU is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from p5core.config.experiment import OptimiserConfig
from p5core.contracts.task import SolvedTask, TrainingData
from p5core.data.batch import Batch
from p5core.data.dataset import Ragged
from p5core.errors import ConfigError
from p5core.model.blend import NeighbourTable
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.model.warm_start import Source, warm_start
from p5core.plugins.discovery import load_plugins
from p5core.testing.toys import build_network
from p5core.testing.world import toy_world
from p5core.training.optimiser import build_optimiser, clip_norm

__all__ = ["CHECKS"]

DEVICE = "fakegpu"
WITHOUT_KERNEL = ("gru",)
"""Backbones whose operations the fake device has not."""

SIZED_BY_VALUES = ("gbce", "sampled_softmax")
"""Losses that score a set of different items."""


class _Module(_DummyBackendModule):
    """What autocast asks of a device besides."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def on_device(mode: FakeTensorMode, value: Tensor) -> Tensor:
    with mode:
        return torch.empty(value.shape, dtype=value.dtype, device=DEVICE)


def moved(mode: FakeTensorMode, network: Network) -> Network:
    """The network with every parameter and buffer on the device."""
    for module in network.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                module._parameters[name] = nn.Parameter(on_device(mode, value), requires_grad=value.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = on_device(mode, buffer)
    return network


def networks(mode: FakeTensorMode) -> list[tuple[Network, Batch]]:
    """A network of each backbone with the layers of each task that suits it, and a batch of that task."""
    registry, world, found = load_plugins(), toy_world(), []
    for name, backbone in registry.parts("backbone").items():
        for info in registry.parts("task").values():
            part = info.part
            try:
                part.check(backbone.part, world.events)
            except ConfigError:
                continue
            if name in WITHOUT_KERNEL or issubclass(part, SolvedTask):
                continue
            task = part(part.Config(), None)
            network = build_network(backbone.part(backbone.part.Config(), 8, 9), world, task=task)
            data, rng = (
                TrainingData(world.events, backbone.part, 8, 64, world.catalogue, world.users),
                np.random.default_rng(0),
            )
            batch = task.batch(data, task.plan(data, rng)[0], rng)
            found.append((moved(mode, network), batch.map(lambda one: on_device(mode, one))))
    return found


def states_and_steps(mode: FakeTensorMode) -> None:
    """States of a batch, their gradients, and steps of the optimiser."""
    for network, batch in networks(mode):
        optimiser = build_optimiser(network, OptimiserConfig())
        with mode:
            loss = network.states(batch).square().mean() + network.items.vectors().square().mean()
            loss.backward()
            clip_norm(network.parameters(), 1.0)
            optimiser.step()


def losses(mode: FakeTensorMode) -> None:
    """Every loss, with all items and with the vectors of the network."""
    registry, world = load_plugins(), toy_world()
    backbone = registry.get("backbone", "gpt")
    network = moved(mode, build_network(backbone(backbone.Config(), 8, 9), world))
    for info in registry.parts("loss").values():
        loss = info.part(info.part.Config())
        with mode:
            states = torch.empty(6, 8, device=DEVICE, requires_grad=True)
            targets = torch.zeros(6, dtype=torch.int64, device=DEVICE)
            try:
                if info.part.kind == "ranking":
                    found = loss(states, targets, network.items)
                else:
                    found = loss(states[:, 0], torch.empty(6, device=DEVICE))
            except GuardOnDataDependentSymNode:  # from here on values, of which there are none, decide about sizes
                assert info.part.name in SIZED_BY_VALUES
                continue
            assert found.device.type == DEVICE
            found.backward()


def warm_starts(mode: FakeTensorMode) -> None:
    """Weights of the processor, as a file gives them, go into a network on the device."""
    registry, world = load_plugins(), toy_world()
    backbone = registry.get("backbone", "bert")
    source = build_network(backbone(backbone.Config(), 8, 9), world)
    target = moved(mode, build_network(backbone(backbone.Config(), 8, 9), world))
    index = {"item": world.catalogue.index, "user": pd.RangeIndex(world.events.n_users)}
    weights = {name: on_processor(mode, value) for name, value in source.state_dict().items()}
    with mode:
        warm_start(target, index, Source(weights, source.row_labels(), index))


def on_processor(mode: FakeTensorMode, value: Tensor) -> Tensor:
    with mode:
        return torch.empty(value.shape, dtype=value.dtype)


def scores(mode: FakeTensorMode) -> None:
    """Scores of histories, of users, and of an item-item model."""
    world = toy_world()
    users, histories = np.array([0, 1, 2], dtype=np.int32), Ragged.of([[1, 2], [], [3, 4, 5]])
    for network, _ in networks(mode):
        with mode, torch.inference_mode():
            assert NetworkScorer(network, 6).scores(users, histories).device.type == DEVICE
    scorer = load_plugins().get("scorer", "cooccurrence")
    fitted = scorer(scorer.Config())
    fitted.fit(world.events, world.catalogue)
    with mode:
        table = NeighbourTable(fitted.export(), torch.device(DEVICE))
        items = torch.zeros(3, 4, dtype=torch.int64, device=DEVICE)
        assert table.scores(items, torch.full((3,), 4, device=DEVICE)).device.type == DEVICE


def a_tensor_that_stays(mode: FakeTensorMode) -> None:
    """The mistake that the others would show."""
    with mode, pytest.raises(RuntimeError, match="same device"):
        torch.empty(3, device=DEVICE) + torch.zeros(3)


CHECKS: dict[str, Callable[[FakeTensorMode], None]] = {
    one.__name__: one for one in (states_and_steps, losses, warm_starts, scores, a_tensor_that_stays)
}

if __name__ == "__main__":
    _setup_privateuseone_for_python_backend(DEVICE, _Module())
    CHECKS[sys.argv[1]](FakeTensorMode(shape_env=ShapeEnv()))
    os._exit(0)  # threads of autograd that wait for a device made in Python can abort the end of the interpreter
