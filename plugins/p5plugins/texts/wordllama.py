"""Means of the token vectors of WordLlama, read from its installed package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from p5core.errors import ConfigError
from p5core.system.files import sha256

__all__ = ["wordllama_provenance", "wordllama_vectors"]

WEIGHTS, TOKENS = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"

TEXTS_AT_ONCE = 8192


def wordllama_provenance() -> dict[str, str]:
    """Model, revision (a hash of the weights) and licence; raises ConfigError when it is not installed."""
    return {"model": "wordllama l2_supercat_256", "revision": sha256(_folder() / WEIGHTS)[:12], "licence": "MIT"}


def wordllama_vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(N, 256) the mean vector of the tokens of each text, zero for an empty one."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = _folder()
    (table,) = load_file(folder / WEIGHTS).values()  # (n_tokens, 256) float16
    tokenizer = Tokenizer.from_file(str(folder / TOKENS))
    tokenizer.no_padding()
    means = np.zeros((len(texts), table.shape[1]), dtype=np.float32)
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        block = tokenizer.encode_batch(list(texts[first : first + TEXTS_AT_ONCE]), add_special_tokens=False)
        for nth, encoding in enumerate(block):
            if encoding.ids:
                means[first + nth] = table[encoding.ids].astype(np.float32).mean(axis=0)
    return means


def _folder() -> Path:
    """The folder of the package, which is not imported: its own loader asks the network."""
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None or find_spec("tokenizers") is None:
        raise ConfigError("Text vectors of WordLlama need it installed: pip install 'p5rec[text]'.")
    folder = Path(spec.origin).parent
    for name in (WEIGHTS, TOKENS):
        if not (folder / name).is_file():
            raise ConfigError(f"The installed WordLlama has no {name}. Install another: pip install 'wordllama>=0.4'.")
    return folder
