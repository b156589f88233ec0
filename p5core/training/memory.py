"""Memory that runs out: what would not fit is refused before the work, and what does not gets advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from p5core.errors import TrainingError

__all__ = ["WeightLimit", "advised"]

SAID = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation")
"""Parts of what PyTorch says, which has no exception of its own for the memory of the processor."""

FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Turn an error for want of memory into TrainingError with advice on what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(f"There is not enough memory. {advice}") from error


def _is_out_of_memory(error: BaseException) -> bool:
    """True for an error of Python, PyTorch or CUDA for want of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in SAID)


class WeightLimit(TorchFunctionMode):
    """Raises MemoryError when the tensors that are made within it take more bytes than a limit.

    A new tensor takes no memory before it is filled: an operating system that promises more memory than it has would
    end the process only then.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in FACTORIES and isinstance(made, Tensor):
            self._left -= made.nbytes
            if self._left < 0:
                raise MemoryError
        return made
