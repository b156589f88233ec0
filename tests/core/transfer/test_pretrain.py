"""Bases: pre-trained weights without data, and what starts from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

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
from p5core.model.title_match import match_by_title
from p5core.plugins.registry import Registry
from p5core.runs.base import Base, open_base
from p5core.transfer.finetune import finetune
from p5core.transfer.pretrain import pretrain, write_base
from p5core.workflows.source import open_source
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
    labels, is_matched = match_by_title(new, known)
    assert is_matched.tolist() == [True, True, *[False] * 6]
    assert labels[:3].tolist() == [("a", 0), ("a", 1), ("b", 2)]
    both = Catalogue(pd.concat([known.frame, new.frame], ignore_index=True))
    labels, is_matched = match_by_title(both, known)
    assert labels[8:10].tolist() == [("a", 0), ("a", 1)]
    assert labels[:8].equals(known.index)
    with pytest.raises(DataError, match=r"The data has no titles.*match = 'id'"):
        match_by_title(Catalogue(new.frame.drop(columns="title")), known)


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
    with pytest.raises(RunError, match=r"lacks its file|is no run folder"):
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
    with pytest.raises(RunError, match=r"nowhere is no run folder"):
        open_source("nowhere", base.path.parent)
