"""The optimiser, its schedule, and row-wise updates of large embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from p5core.config.experiment import OptimiserConfig

__all__ = ["RowAdamW", "build_optimiser", "clip_norm", "set_learning_rate", "step_share"]


class RowAdamW(torch.optim.AdamW):
    """AdamW (arXiv 1711.05101) in which a parameter with a sparse gradient has the rows of the batch updated alone.

    The moments of other rows stay as they are, as in `torch.optim.SparseAdam`: a step costs what the batch holds, not
    what the catalogue holds. Such parameters have no weight decay.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step."""
        sparse = [
            (parameter, parameter.grad.coalesce(), group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None and parameter.grad.is_sparse
        ]
        for parameter, _, _ in sparse:
            parameter.grad = None
        loss = super().step(closure)
        for parameter, gradient, group in sparse:
            self._step_rows(parameter, gradient, group)
        return loss

    def _step_rows(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        (first, second), n = group["betas"], float(state["step"])
        rows, values = gradient.indices()[0], gradient.values()  # (n,), (n, D)
        mean = state["exp_avg"][rows].lerp_(values, 1 - first)
        square = state["exp_avg_sq"][rows].lerp_(values * values, 1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        spread = (square / (1 - second**n)).sqrt_().add_(group["eps"])
        parameter.index_add_(0, rows, mean / spread, alpha=-float(group["lr"]) / (1 - first**n))


def clip_norm(parameters: Iterable[nn.Parameter], longest: float) -> None:
    """Clip the norm of all gradients to `longest`; sparse ones are coalesced."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad.coalesce() if parameter.grad.is_sparse else parameter.grad
            gradients.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
    share = longest / (torch.nn.utils.get_total_norm(gradients) + 1e-6)
    torch._foreach_mul_(gradients, share.clamp(max=1.0))


def build_optimiser(
    module: nn.Module, config: OptimiserConfig, factors: Mapping[nn.Parameter, float] | None = None
) -> RowAdamW:
    """AdamW that decays the matrices of layers; embeddings, biases and norms have no decay.

    `factors` of the learning rate are given by parameter.
    """
    factors = factors or {}
    embeddings = {id(child.weight) for child in module.modules() if isinstance(child, (nn.Embedding, nn.EmbeddingBag))}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        is_matrix = parameter.dim() >= 2 and id(parameter) not in embeddings
        groups.setdefault((factors.get(parameter, 1.0), not is_matrix), []).append(parameter)
    return RowAdamW(
        [
            {"params": groups[key], "weight_decay": 0.0 if key[1] else config.weight_decay, "factor": key[0]}
            for key in sorted(groups)
        ],
        lr=config.learning_rate,
        fused=True,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, config: OptimiserConfig, position: float, n_steps: int) -> None:
    """Set the learning rate at a position of training, in steps of `n_steps`."""
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * group["factor"] * step_share(position, n_steps, config)


def step_share(step: float, n_steps: int, config: OptimiserConfig) -> float:
    """Learning rate at `step` of `n_steps` relative to its peak: linear warm-up, then cosine decay."""
    n_warm = int(config.warmup * n_steps)
    if step < n_warm:
        return (step + 1) / (n_warm + 1)
    done = min(1.0, (step - n_warm) / max(1, n_steps - n_warm))
    return config.final_share + (1 - config.final_share) * 0.5 * (1 + math.cos(math.pi * done))
