"""Bases: pre-trained weights without data, and what starts from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import p5core
from p5core.config.document import parse_experiment
from p5core.config.tree import parse_toml
from p5core.data.catalogue import Catalogue
from p5core.data.storage import read_dataset
from p5core.errors import ConfigError, DataError, RunError
from p5core.fitting.source import open_source
from p5core.model.title_match import match_by_title
from p5core.plugins.registry import Registry
from p5core.runs.base import Base, open_base
from p5core.transfer.finetune import finetune, with_source_network
from p5core.transfer.pretrain import _shared_weights, pretrain, write_base
from p5core.workflows.refit import refit
from p5core.workflows.train import plan_run

Make = Callable[..., p5core.Experiment]

OTHER_MODEL = 'model = { width = 8, max_length = 8, backbone = { name = "gpt", n_layers = 2, n_heads = 1 } }'


def test_a_base_has_no_event_no_user_and_no_item(base: Base, shops: dict[str, str]) -> None:
    names = {path.relative_to(base.path).as_posix() for path in base.path.rglob("*") if path.is_file()}
    features = {"features/model.encoders.0.safetensors", "features/model.encoders.1.safetensors"}
    assert names == {"README.md", "base.json", "manifest.json", "weights.safetensors", *features}
    run = p5core.open_run(base.path.parent / "first")
    whole, shared = load_file(run.weights), load_file(base.weights)
    dataset = read_dataset(run.data / "target")
    assert {name for name, value in whole.items() if len(value.shape) and len(value) == dataset.n_items} == {
        "items.counts",
        "items.encoders.1.embedding.weight",
    }
    assert shared["items.encoders.1.embedding.weight"].shape == (1, 16)
    assert "items.counts" not in shared
    for path in base.path.rglob("*"):
        assert path.is_dir() or not any(f"blue games {n}".encode() in path.read_bytes() for n in range(4))
    info = base.info()
    assert [record.domains for record in info.trained_on] == [["games"], ["films"]]
    assert all(record.users > 10 and record.events > 100 for record in info.trained_on)
    card = (base.path / "README.md").read_text()
    assert "CC0-1.0" in card
    assert f"| train | films | {info.trained_on[1].users:,} |" in card
    assert parse_toml(card.split("```toml")[1].split("```")[0], "card")["model"]["width"] == 16


def test_a_run_starts_from_a_base_as_from_its_run(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    """Weights without rows of items are equal at the start, and texts are read by the words of the base."""
    starts = {}
    for name, source in (("base", base.path), ("run", base.path.parent / "first")):
        chosen = experiment(shops["films"], start=f", from = '{source}'")
        prepared = plan_run(chosen, tmp_path, registry)
        starts[name] = (prepared.network, prepared.data.target.dataset)
    for key, value in starts["base"][0].backbone.state_dict().items():
        assert torch.equal(value, starts["run"][0].backbone.state_dict()[key])
    first, second = (
        network.items.encoders[0](torch.from_numpy(dataset.catalogue.members("films")).long())
        for network, dataset in starts.values()
    )
    torch.testing.assert_close(first, second)
    own = starts["base"][0].items.encoders[1].embedding.weight
    assert torch.equal(own, own[:1].expand_as(own))
    assert starts["base"][1].n_items == 30


def test_a_run_from_a_base_trains_resumes_exports_and_needs_no_base_then(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    run = p5core.run(experiment(shops["films"], start=f", from = '{copy}'"), tmp_path, "second", registry)
    assert run.info().source == base.seal_hash()
    shutil.rmtree(copy)
    items = read_dataset(run.data / "target").catalogue.frame["item"].tolist()
    assert len(p5core.Recommender.load(run.path, registry).recommend(items[:2], k=3)) == 3
    assert "of 30 items 0 are known by their ids" in (run.path / "log.txt").read_text()


def test_kept_items_keep_their_vectors(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    run = p5core.open_run(base.path.parent / "first")
    kept = write_base(run, tmp_path / "kept", registry, keep_items=True)
    titles = pd.read_parquet(kept.items)
    assert titles.columns.tolist() == ["item", "domain", "title"]
    prepared = plan_run(experiment(shops["games"], start=f", from = '{kept.path}'"), tmp_path, registry)
    dataset, old = prepared.data.target.dataset, read_dataset(run.data / "target")
    own = prepared.network.items.encoders[1].embedding.weight
    rows = old.catalogue.index.get_indexer(dataset.catalogue.index)
    assert (rows >= 0).all()
    assert torch.equal(own, load_file(run.weights)["items.encoders.1.embedding.weight"][torch.from_numpy(rows)])
    assert any("of 40 items 40 are known by their ids" in str(text) for text in prepared.data.sentences)


def test_items_of_equal_title_start_from_each_other(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    run = p5core.open_run(base.path.parent / "first")
    kept = write_base(run, tmp_path / "kept", registry, keep_items=True)
    titles = pd.read_parquet(kept.items)
    games = titles[titles["domain"] == "games"].reset_index(drop=True)
    mapped = {old: 1000 + place for place, old in enumerate(games["item"].astype("str"))}
    log = pd.read_csv(Path(shops["games"].split("'")[3]))
    log.assign(item=log["item"].astype("str").map(mapped)).to_csv(tmp_path / "again.csv", index=False)
    changed = games["title"].str.upper().str.split().str.join(" - ")
    pd.DataFrame({"item": list(mapped.values()), "title": changed}).to_csv(tmp_path / "again-items.csv", index=False)
    table = f"path = '{tmp_path}/again.csv', items = '{tmp_path}/again-items.csv', domain = 'again', id_type = 'text'"
    data = f"{{ name = 'table', {table} }}"
    known = {}
    for match in ("id", "title"):
        chosen = experiment(data, start=f", from = '{kept.path}', match = '{match}'")
        prepared = plan_run(chosen, tmp_path, registry)
        index = prepared.data.target.dataset.catalogue.frame["item"].astype("str").tolist()
        own = prepared.network.items.encoders[1].embedding.weight
        stored = load_file(kept.weights)["items.encoders.1.embedding.weight"]
        places = titles.index[titles["domain"] == "games"].tolist()
        of_old = {str(mapped[old]): stored[place] for old, place in zip(mapped, places, strict=True)}
        known[match] = [torch.equal(own[row], of_old[item]) for row, item in enumerate(index)]
    assert not any(known["id"])
    assert all(known["title"])


def test_titles_match_whatever_their_writing() -> None:
    def catalogue(domain: str, titles: list[str | None]) -> Catalogue:
        return Catalogue(pd.DataFrame({"item": range(len(titles)), "domain": domain, "title": titles}))

    known = catalogue("a", ["The Matrix (1999)", "Amélie", "Twice", "Twice", "Heat", None, "", "HDMI to USB"])
    new = catalogue("b", ["Matrix, The (1999)", "AMELIE", "Twice", "Heat", "Heat", None, "", "USB to HDMI"])
    whole = np.ones(len(new), dtype=np.bool_)
    labels, is_matched = match_by_title(new, known, whole)
    assert is_matched.tolist() == [True, True, *[False] * 6]
    assert labels[:3].tolist() == [("a", 0), ("a", 1), ("b", 2)]
    both = Catalogue(pd.concat([known.frame, new.frame], ignore_index=True))
    labels, is_matched = match_by_title(both, known, np.arange(len(both)) >= len(known))
    assert labels[8:10].tolist() == [("a", 0), ("a", 1)]
    assert labels[:8].equals(known.index)
    with pytest.raises(DataError, match=r"The data has no titles.*match = 'id'"):
        match_by_title(Catalogue(new.frame.drop(columns="title")), known, whole)


def test_a_title_is_not_given_to_a_second_item() -> None:
    known = Catalogue(pd.DataFrame({"item": [1], "domain": "a", "title": ["Foo"]}))
    data = Catalogue(pd.DataFrame({"item": [1, 2], "domain": "a", "title": ["Foo", "Foo"]}))
    labels, is_matched = match_by_title(data, known, np.ones(2, dtype=np.bool_))
    assert labels.tolist() == [("a", 1), ("a", 2)]
    assert not is_matched.any()


@pytest.mark.parametrize(
    ("first", "second", "is_equal"),
    [
        ("Matrix, The [1999]", "The Matrix (1999)", True),
        ("Spider-Man: Homecoming", "Spider Man Homecoming", True),
        ("Don\u2019t Look Now", "Don't Look Now", True),
        ("C++", "C#", False),
        ("C++", "C", False),
        ("1.5", "15", False),
        ("-5", "5", False),
        ("किताब", "किताबी", False),
        ("হিন্দি", "হন্দ", False),
    ],
)
def test_titles_that_are_equal(first: str, second: str, is_equal: bool) -> None:
    one, other = (
        Catalogue(pd.DataFrame({"item": [1], "domain": name, "title": [title]}))
        for name, title in (("a", first), ("b", second))
    )
    _, is_matched = match_by_title(one, other, np.ones(1, dtype=np.bool_))
    assert is_matched.tolist() == [is_equal]


def test_finetune_takes_the_network_of_the_base_and_its_control_that_of_the_file(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    chosen = experiment(shops["films"], OTHER_MODEL, start=f", from = '{base.path}'")
    tuned = finetune(chosen, tmp_path, "tuned", registry)
    runs = {True: tuned.run if tuned.is_pretrained else tuned.other}
    runs[False] = tuned.other if tuned.is_pretrained else tuned.run
    assert runs[True].experiment().model.width == 16
    assert runs[False].experiment().model.width == 8
    assert runs[False].experiment().stages[0].from_run == ""


CONTENTS = ("weights.safetensors", "base.json", "README.md", "features/model.encoders.0.safetensors")


@pytest.mark.parametrize("name", CONTENTS)
def test_a_changed_base_is_refused(
    experiment: Make, name: str, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    chosen = experiment(shops["films"], start=f", from = '{copy}'")
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RunError, match=r"was changed since P5 wrote it|cannot be read"):
        p5core.run(chosen, tmp_path, "run", registry)
    (copy / name).unlink()
    with pytest.raises(RunError, match=r"lacks its file|is no run folder|neither a base nor a run"):
        p5core.run(chosen, tmp_path, "run", registry)
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


def test_a_base_of_another_version_and_names_that_are_taken_are_refused(
    experiment: Make, base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    about = json.loads((copy / "base.json").read_text())
    (copy / "base.json").write_text(json.dumps({**about, "format": 9}))
    with pytest.raises(RunError, match=r"has format 9; this version of P5 reads format 1"):
        open_base(copy)
    with pytest.raises(RunError, match=r"copy exists. Choose another folder for the base"):
        pretrain(experiment(shops["games"]), copy, tmp_path, "run", registry)
    alone = parse_experiment(parse_toml(f"data = {shops['games']}\nmodel = {{ scorer = 'popularity' }}", "test"))
    with pytest.raises(ConfigError, match=r"'popularity' is the whole model: there is no network"):
        pretrain(alone, tmp_path / "base", tmp_path, "run", registry)
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


def test_a_base_comes_before_a_run_of_its_name(
    base: Base, shops: dict[str, str], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base.path, tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    assert open_source("first", base.path.parent).seal_hash() == base.seal_hash()
    shutil.rmtree(tmp_path / "first")
    assert open_source("first", base.path.parent).seal_hash() != base.seal_hash()
    with pytest.raises(RunError, match=r"neither a base nor a run nowhere"):
        open_source("nowhere", base.path.parent)


def test_titles_need_items_to_match_with(
    base: Base, shops: dict[str, str], experiment: Make, registry: Registry, tmp_path: Path
) -> None:
    chosen = experiment(shops["films"], start=f", from = '{base.path}', match = 'title'")
    with pytest.raises(ConfigError, match=r"keeps no items. Write it with --keep-items"):
        plan_run(chosen, tmp_path, registry)
    with pytest.raises(ConfigError, match=r"name it in stages.0.from"):
        plan_run(experiment(shops["films"], start=", match = 'title'"), tmp_path, registry)
    with pytest.raises(RunError, match=r"There is neither a base nor a run nowhere"):
        plan_run(experiment(shops["films"], start=", from = 'nowhere'"), tmp_path, registry)


def test_a_refit_starts_from_the_weights_of_its_run(
    base: Base, shops: dict[str, str], experiment: Make, registry: Registry, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base.path, tmp_path / "copy"))
    run = p5core.run(experiment(shops["films"], start=f", from = '{copy}'"), tmp_path, "run", registry)
    refit(run, "again", registry)
    assert p5core.open_run(tmp_path / "again").info().source == base.seal_hash()
    shutil.rmtree(copy)
    write_base(p5core.open_run(base.path.parent / "first"), copy, registry, "another")
    with pytest.raises(RunError, match=r"started from .*copy, which is another one now"):
        refit(run, "third", registry)
    assert not (tmp_path / "third").exists()


def test_layers_of_tasks_and_paths_are_not_given_away(
    registry: Registry, shops: dict[str, str], tmp_path: Path
) -> None:
    """A task whose layers have rows of users and items, and an encoder that reads a file."""
    items = pd.read_csv(Path(shops["games"].split("'")[5]))
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).random((len(items), 4)))
    (tmp_path / "mine.txt").write_text("\n".join(items["item"].astype("str")))
    backbone = 'backbone = { name = "gpt", n_layers = 1, n_heads = 1 }'
    files = f'file = "{tmp_path}/mine.npy", ids = "{tmp_path}/mine.txt"'
    text = f"""
        data = {shops["games"]}
        prepare = {{ min_user_events = 3, min_item_events = 1 }}
        model = {{ width = 8, max_length = 8, {backbone}, encoders = [{{ name = "vectors", {files} }}] }}
        stages = [{{ epochs = 1 }}]
        evaluate = {{ baselines = [], resamples = 0 }}
    """
    base = pretrain(parse_experiment(parse_toml(text, "test")), tmp_path / "base", tmp_path, "run", registry)
    written = (base.path / "base.json").read_text() + (base.path / "README.md").read_text()
    assert "mine" not in written
    own = parse_experiment(parse_toml(text.replace("stages = [{", f"stages = [{{ from = '{base.path}',"), "test"))
    (encoder,) = with_source_network(own, tmp_path, registry).model.encoders
    assert encoder.options["file"] == f"{tmp_path}/mine.npy"
    weights = {
        "tasks.x.users.attributes": torch.ones(60, 5),
        "backbone.a": torch.ones(3),
        "items.counts": torch.ones(4),
    }
    assert set(_shared_weights(weights, {}, keep_items=False)) == {"backbone.a"}
