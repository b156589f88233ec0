"""Step sizes and weight decay."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from p5core.experiment import OptimiserConfig

__all__ = ["build_optimiser", "build_schedule", "step_share"]


def build_optimiser(module: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW that decays the matrices of layers; embeddings, biases and norms have no decay."""
    embeddings = {id(one.weight) for one in module.modules() if isinstance(one, (nn.Embedding, nn.EmbeddingBag))}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in module.parameters():
        is_matrix = parameter.dim() >= 2 and id(parameter) not in embeddings
        (decayed if is_matrix else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate, fused=True)


def build_schedule(optimiser: torch.optim.Optimizer, config: OptimiserConfig, n_steps: int, done: int) -> LambdaLR:
    """Linear warm-up, then cosine decay, over `n_steps` steps of which `done` are already made."""
    for group in optimiser.param_groups:
        group["initial_lr"] = config.learning_rate
    return LambdaLR(optimiser, lambda step: step_share(step, n_steps, config), last_epoch=done - 1)


def step_share(step: int, n_steps: int, config: OptimiserConfig) -> float:
    """Step size at `step` of `n_steps`, as a share of the highest."""
    n_warm = int(config.warmup * n_steps)
    if step < n_warm:
        return (step + 1) / (n_warm + 1)
    done = min(1.0, (step - n_warm) / max(1, n_steps - n_warm))
    return config.final_share + (1 - config.final_share) * 0.5 * (1 + math.cos(math.pi * done))
