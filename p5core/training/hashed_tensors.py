"""Tensors in safetensors files with a hash of their content, where no manifest vouches for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from p5core.errors import RunError
from p5core.system.files import write_tensors

__all__ = ["read_hashed_tensors", "write_hashed_tensors"]

HASH = "sha256"
"""Key of the hash among the metadata."""


def write_hashed_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """`write_tensors` with the hash of tensors and metadata among the metadata."""
    present = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    texts = dict(metadata or {})
    write_tensors(path, present, {**texts, HASH: _hash(present, texts)})


def read_hashed_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of `write_hashed_tensors`; raises RunError when the file was damaged since."""
    if not path.is_file():
        raise RunError(f"{path} is no file. Restore it from a copy or run the experiment again.")
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in sorted(stored.keys())}
            metadata = dict(stored.metadata() or {})
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} cannot be read: {error}. Run the experiment again.") from None
    if metadata.pop(HASH, None) != _hash(tensors, metadata):
        raise RunError(f"{path} was damaged since it was written: its hash differs. Run the experiment again.")
    return tensors, metadata


def _hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Hex SHA-256 of names, types, shapes and values, and of the metadata."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        values: Any = tensor.reshape(-1).view(torch.uint8).numpy()
        digest.update(values)
    return digest.hexdigest()
