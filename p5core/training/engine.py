"""Devices, arithmetic and processes behind one small protocol, on Lightning Fabric."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import psutil
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from p5core.data.batch import Batch
from p5core.errors import ConfigError

__all__ = ["Engine", "choose_device", "choose_precision", "move_for_use"]

BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Names by which torch tells that a processor multiplies in bfloat16; on ARM nobody has measured it yet."""

T = TypeVar("T")


def choose_device(device: str) -> str:
    """The device that "auto" stands for: CUDA when there is one, else the processor; others as they are."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(device: str) -> tuple[str, str]:
    """The precision that "auto" stands for on a device, and why: bfloat16 where its products are the quicker ones."""
    kind = choose_device(device).partition(":")[0]
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed", "this GPU supports bfloat16"
    if kind == "cpu" and any(_capabilities().get(name) for name in BFLOAT16):
        return "bf16-mixed", "this processor supports bfloat16"
    return "32-true", "bfloat16 would not be faster here"


def _capabilities() -> dict[str, object]:
    """Capabilities of the processor; older releases of torch do not tell."""
    tell = getattr(torch.cpu, "get_capabilities", dict)
    capabilities: dict[str, object] = tell()
    return capabilities


def move_for_use(module: nn.Module) -> None:
    """Move a trained module to the best device of this machine, whatever device trained it."""
    module.to(choose_device("auto"))


class Engine:
    """One process of a training run: its device, its arithmetic, and its place among the others.

    Several processes are started from outside, such as by `torchrun --nproc-per-node 2 -m p5core.cli run FILE`; each
    one trains on its share of every epoch's batches, and the first one alone writes files.
    """

    def __init__(self, device: str, precision: Any) -> None:
        """Set up for a device and a precision, either of which may be "auto".

        Raises ConfigError for a device that is missing or cannot train.
        """
        device = choose_device(device)
        kind, _, number = device.partition(":")
        if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
            raise ConfigError(f"device = '{device}' is unknown. Choose 'auto', 'cpu', 'cuda' or 'cuda:1'.")
        if kind == "mps":
            raise ConfigError(
                "device = 'mps' cannot be used: it has no float64, by which items are ranked. Choose 'cpu'."
            )
        precision = choose_precision(device)[0] if precision == "auto" else precision
        if kind == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32: faster products of float32, with a shorter mantissa
        self.world_size = int(os.environ.get("WORLD_SIZE", "1"))
        arithmetic = Precision() if precision == "32-true" else MixedPrecision(precision, kind)
        strategy: Any = DDPStrategy(find_unused_parameters=True) if self.world_size > 1 else "auto"
        try:
            chosen: Any = [int(number)] if number else 1
            devices = self.world_size if self.world_size > 1 else chosen
            self._fabric = Fabric(accelerator=kind, devices=devices, strategy=strategy, plugins=arithmetic)
            self._fabric.launch()
        except (ValueError, RuntimeError) as error:
            fault = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"device = '{device}' cannot be used: {fault} Choose 'auto', 'cpu', 'cuda' or 'cuda:1'."
            ) from None

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return self._fabric.device

    @property
    def rank(self) -> int:
        """Number of this process; the first one, 0, writes files."""
        return int(self._fabric.global_rank)

    @property
    def is_first(self) -> bool:
        """True in the process that writes files."""
        return self.rank == 0

    def setup(
        self, module: nn.Module, make_optimiser: Callable[[nn.Module], torch.optim.Optimizer], state: Any = None
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Put a module on the device, make its optimiser there, and load the optimiser's `state` after that."""
        module.to(self.device)
        if self.world_size > 1:  # processes exchange dense gradients alone
            for child in module.modules():
                if isinstance(child, nn.Embedding):
                    child.sparse = False
        wrapped, optimiser = self._fabric.setup(module, make_optimiser(module))
        if state:
            plain = optimiser.optimizer
            plain.load_state_dict({**plain.state_dict(), "state": dict(state)})
        return cast(nn.Module, wrapped), cast(torch.optim.Optimizer, optimiser)

    def accumulating(self, module: nn.Module, enabled: bool) -> AbstractContextManager[Any]:
        """A context in which gradients are accumulated without synchronisation between processes."""
        return self._fabric.no_backward_sync(cast(Any, module), enabled=enabled)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients."""
        self._fabric.backward(loss)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world_size == 1:
            return values
        total = values.to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def from_first(self, compute: Callable[[], T]) -> T:
        """The value computed by the first process, in every process."""
        if self.world_size == 1:
            return compute()
        values = [compute() if self.is_first else None]
        dist.broadcast_object_list(values, src=0)
        return cast(T, values[0])

    def any(self, flag: bool) -> bool:
        """True in every process if it is True in any."""
        return flag if self.world_size == 1 else bool(self.sum(torch.tensor(int(flag))))

    def gather(self, values: Tensor) -> list[Tensor]:
        """The tensor of each process, in the first one; all are of one shape."""
        if self.world_size == 1:
            return [values]
        gathered: list[Any] = [None] * self.world_size
        dist.all_gather_object(gathered, values)
        return gathered

    def shard(self, n: int) -> list[int]:
        """Indices below `n` of this process, equally many for each; the last ones wrap around."""
        each = -(-n // self.world_size)
        return [(self.rank + step * self.world_size) % n for step in range(each)]

    def prefetched(self, batches: Iterable[T], load: Callable[[T], list[Batch]]) -> Iterator[list[Batch]]:
        """Batches on the device; on a GPU the next batch is loaded and copied in the background."""
        if self.device.type == "cpu":
            for batch in batches:
                yield load(batch)
            return
        with ThreadPoolExecutor(1) as worker:
            waiting = None
            for item in batches:
                following = worker.submit(self._loaded, load, item)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _loaded(self, load: Callable[[T], list[Batch]], item: T) -> list[Batch]:
        is_pinned = self.device.type == "cuda"
        return [(batch.map(Tensor.pin_memory) if is_pinned else batch).to(self.device) for batch in load(item)]

    def free_memory(self) -> int:
        """Free memory of the device, in bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        return int(psutil.virtual_memory().available)

    def used_memory(self) -> int:
        """Memory of the device held by this process, in bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.memory_reserved(self.device))
        return int(psutil.Process().memory_info().rss)
