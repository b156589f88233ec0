"""Text vectors: each model against a calculation by hand, growing tables, and what a network begins as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from p5core.contracts.encoder import Features
from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError, DataError
from p5core.system.files import sha256
from p5plugins.encoders.text import Text
from p5plugins.texts.joined import joined_texts
from p5plugins.texts.transformer import transformer_vectors
from p5plugins.texts.vectors import TextConfig, text_features
from p5plugins.texts.whitening import fit_whitening
from p5plugins.texts.wordllama import wordllama_vectors

TITLES = [
    "red garden lamp", "blue garden lamp", "garden lamp of glass", "steel table", "steel chair", "wooden chair",
    None, "kitchen table of steel", "", "glass bowl",
]  # fmt: skip


PADDING, UNKNOWN = "[PAD]", "[UNK]"


def catalogue(titles: list[Any], **columns: list[Any]) -> Catalogue:
    frame = pd.DataFrame({"item": range(len(titles)), "domain": "default", "title": titles, **columns})
    return Catalogue(frame)


def vectors(features: Features) -> npt.NDArray[np.float32]:
    return np.asarray(features.arrays["vectors"])


def test_cells_are_joined_in_one_line() -> None:
    items = catalogue(["A &amp; B\n C", None], tags=[["x", "y"], 3.5], note=[None, " "])
    assert joined_texts(items, ["title", "tags", "note"], "encoder text") == ["A & B C. x, y", "3.5"]


def test_a_wrong_column_and_empty_texts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"encoder text: there is no column 'titel'. Did you mean 'title'\?"):
        text_features(TextConfig(columns=["titel"]), catalogue(["a b"]), "encoder text")
    with pytest.raises(DataError, match="the columns title hold no word at all"):
        text_features(TextConfig(columns=["title"]), catalogue([None, " ! _"]), "encoder text")


def test_a_folder_goes_with_its_model() -> None:
    for options in ({"model": "folder"}, {"folder": "models/bert"}):
        with pytest.raises(ValueError, match='model = "folder" and the option folder go together'):
            TextConfig(columns=["title"], **options)


@pytest.mark.parametrize("model", ["tfidf", "wordllama"])
def test_texts_alike_have_vectors_alike(model: str) -> None:
    config = TextConfig.model_validate({"columns": ["title"], "model": model, "whiten": False})
    table = vectors(text_features(config, catalogue(TITLES), "encoder text"))
    cosines = table @ table.T
    assert cosines[0, 1] > cosines[0, 3]
    assert cosines[3, 7] > cosines[3, 2]
    assert cosines[4, 5] > cosines[4, 9]
    assert not table[[6, 8]].any()
    lengths = np.linalg.norm(table, axis=1)
    assert lengths[[0, 1, 2, 3, 4, 5, 7, 9]] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", ["tfidf", "wordllama"])
def test_known_items_keep_their_vectors_when_the_table_grows(model: str) -> None:
    config = TextConfig.model_validate({"columns": ["title"], "model": model})
    before = Text.features(config, catalogue(TITLES))
    more = [*TITLES, "red garden chair", "words never read before", "steel lamp"]
    after = Text.extend(config, catalogue(more), before)
    assert vectors(after)[: len(TITLES)] == pytest.approx(vectors(before), abs=1e-5)
    fresh = Text.features(config, catalogue(more))
    assert not np.allclose(np.abs(vectors(fresh)[:3, :3]), np.abs(vectors(after)[:3, :3]), atol=1e-3)
    for other in ({"dimension": 3}, {"whiten": False}, {"columns": ["title", "note"]}):
        changed = TextConfig.model_validate({"columns": ["title"], "model": model, **other})
        with pytest.raises(ConfigError, match="the weights were trained with"):
            Text.extend(changed, catalogue(more, note=more), before)


def test_each_character_of_a_script_without_spaces_is_a_word() -> None:
    table = vectors(
        text_features(TextConfig(columns=["title"], whiten=False), catalogue(["红灯", "红花", "x 鱼"]), "t")
    )
    cosines = table @ table.T
    assert cosines[0, 1] > cosines[0, 2]


def test_whitened_coordinates_are_uncorrelated_and_of_equal_variance() -> None:
    rng = np.random.default_rng(0)
    raw = (rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)
    whitened = fit_whitening(raw, 3).apply(raw)
    assert np.cov(whitened.T) == pytest.approx(np.eye(3), abs=0.02)
    few = np.cov(fit_whitening(raw[:4], 3).apply(raw[:4]).T)
    assert np.diag(few)[0] > 2 * np.diag(few)[1], "the directions of few rows are not blown up"
    turned = fit_whitening(raw, 5, scaled=False).apply(raw)
    distances = [np.linalg.norm(table[:50, None] - table[None, :50], axis=2) for table in (raw, turned)]
    assert distances[1] == pytest.approx(distances[0], abs=1e-3)


@pytest.mark.parametrize("model", ["tfidf", "wordllama"])
@pytest.mark.parametrize("titles", [["red lamp", None, None], ["red lamp"] * 3])
def test_texts_that_tell_nothing_apart_are_zero(model: str, titles: list[str | None]) -> None:
    config = TextConfig.model_validate({"columns": ["title"], "model": model})
    assert not vectors(text_features(config, catalogue(titles), "encoder text")).any()


def test_wordllama_is_the_mean_of_its_token_vectors() -> None:
    import importlib.util

    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    (table,) = load_file(folder / "weights/l2_supercat_256.safetensors").values()
    tokens = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    text = "Red garden lamp, 3 pieces"
    ids = tokens.encode(text, add_special_tokens=False).ids
    expected = table[ids].astype(np.float64).mean(axis=0)
    assert wordllama_vectors(["", text, "a much longer text that pads the others"])[1] == pytest.approx(
        expected, abs=1e-5
    )


@pytest.fixture
def tiny_transformers(tmp_path: Path) -> dict[str, Path]:
    """A BERT and a GPT of two layers with random weights and a word tokenizer, as folders of Hugging Face."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = {word: code for code, word in enumerate([PADDING, UNKNOWN, "red", "garden", "lamp", "steel", "chair"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PADDING, unk_token=UNKNOWN)
    torch.manual_seed(0)
    small = {"vocab_size": len(words), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertModel(BertConfig(intermediate_size=32, **small))
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=len(words), n_embd=16, n_layer=2, n_head=2, n_positions=32))
    folders = {"bert": tmp_path / "bert", "gpt": tmp_path / "gpt"}
    for name, model in (("bert", bert), ("gpt", gpt)):
        model.save_pretrained(folders[name])
        fast.save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize(("name", "pooled"), [("bert", "mean"), ("gpt", "last")])
def test_a_transformer_is_pooled_over_its_tokens(tiny_transformers: dict[str, Path], name: str, pooled: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    texts = ["red garden lamp steel chair", "", "red lamp", "chair"]
    table = transformer_vectors(texts, tiny_transformers[name])
    tokenizer = AutoTokenizer.from_pretrained(tiny_transformers[name])
    model = AutoModel.from_pretrained(tiny_transformers[name]).eval()
    for row, text in enumerate(texts):
        if not text:
            assert not table[row].any()
            continue
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        expected = states.mean(dim=0) if pooled == "mean" else states[-1]
        assert table[row] == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_folder_says_what_it_is(tiny_transformers: dict[str, Path], tmp_path: Path) -> None:
    folder = tiny_transformers["bert"]
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n", encoding="utf-8")
    config = TextConfig(columns=["title"], model="folder", folder=folder)
    about = text_features(config, catalogue(["red lamp", "steel chair"]), "encoder text").about
    assert about["model"] == "bert"
    assert about["revision"] == sha256(folder / "model.safetensors")[:12]
    assert about["licence"] == "apache-2.0"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"is no folder of a Hugging Face model: its config.json cannot be read"):
        transformer_vectors(["a"], tmp_path / "empty")


def test_pickled_weights_are_not_loaded(tiny_transformers: dict[str, Path]) -> None:
    folder = tiny_transformers["bert"]
    weights = torch.nn.Linear(2, 2).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        transformer_vectors(["a"], folder)


def test_an_untrained_encoder_ranks_as_its_texts_do() -> None:
    features = Text.features(TextConfig(columns=["title"]), catalogue(TITLES))
    table = vectors(features)
    encoder = Text(TextConfig(columns=["title"]), features, table.shape[1] + 2)
    encoded = encoder(torch.arange(len(TITLES))).detach().numpy()
    read = table.any(axis=1)
    assert encoded[read] @ encoded[read].T == pytest.approx(table[read] @ table[read].T, abs=1e-5)
    assert encoded[~read] == pytest.approx(np.tile(encoder.missing.detach().numpy(), (2, 1)))


def test_features_are_told_where_they_came_from() -> None:
    about = Text.features(TextConfig(columns=["title"], model="wordllama"), catalogue(TITLES)).about
    assert json.loads(json.dumps(dict(about)))["licence"] == "MIT"
