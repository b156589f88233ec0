"""What to do when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from p5core.errors import TrainingError

__all__ = ["advised", "is_out_of_memory"]

SAID = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation")
"""Parts of what PyTorch says, which has no exception of its own for the memory of the processor."""


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Turn an error for want of memory into TrainingError with advice on what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"There is not enough memory. {advice}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error of Python, PyTorch or CUDA for want of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in SAID)
