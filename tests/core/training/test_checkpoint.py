"""Checkpoints: everything comes back, the random state included."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from p5core.config.experiment import OptimiserConfig
from p5core.training.checkpoint import Progress, load_checkpoint, random_state, save_checkpoint
from p5core.training.optimiser import build_optimiser


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    module.register_buffer("counts", torch.arange(5))
    optimiser = build_optimiser(module, OptimiserConfig())
    for _ in range(3):
        module(torch.randn(6, 3)).square().mean().backward()
        optimiser.step()
    return module, optimiser


def test_all_that_was_saved_comes_back(tmp_path: Path) -> None:
    module, optimiser = trained()
    progress = Progress(stage=1, epoch=2, batch=3, step=40, best=-0.123456789, n_worse=1, seconds=1.5)
    save_checkpoint(tmp_path / "last.safetensors", module, optimiser, progress, [random_state()])
    wanted = torch.rand(4)
    weights, moments, found = load_checkpoint(tmp_path / "last.safetensors")
    assert torch.equal(torch.rand(4), wanted)
    assert found == progress
    assert weights.keys() == module.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    state = optimiser.state_dict()["state"]
    assert moments.keys() == state.keys()
    for index, values in state.items():
        assert moments[index].keys() == values.keys()
        assert all(torch.equal(moments[index][key], torch.as_tensor(value)) for key, value in values.items())
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_weights_alone_can_be_saved(tmp_path: Path) -> None:
    module, _ = trained()
    save_checkpoint(tmp_path / "x", module, None, Progress(), [])
    weights, moments, progress = load_checkpoint(tmp_path / "x")
    assert (len(weights), moments, progress) == (5, {}, Progress())


def test_progress_counts_batches_steps_epochs_and_stages() -> None:
    after = Progress().next_batch(2).next_batch()
    assert (after.batch, after.step) == (3, 2)
    later = after.next_epoch()
    assert (later.epoch, later.batch, later.step) == (1, 0, 2)
    assert Progress(epoch=3, step=9, best=0.1, n_worse=2, seconds=4.0).next_stage() == Progress(stage=1, seconds=4.0)


def test_each_process_gets_its_own_random_state_back(tmp_path: Path) -> None:
    module, _ = trained()
    torch.manual_seed(1)
    first = random_state()
    torch.manual_seed(2)
    second = random_state()
    save_checkpoint(tmp_path / "x", module, None, Progress(), [first, second])
    expected = torch.rand(3)
    load_checkpoint(tmp_path / "x", rank=1)
    assert torch.equal(torch.rand(3), expected)
    load_checkpoint(tmp_path / "x", rank=0)
    assert not torch.equal(torch.rand(3), expected)
