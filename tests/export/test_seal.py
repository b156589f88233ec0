"""p5.json is sealed: what was changed or damaged is told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from p5core.cli import build
from p5core.errors import ExportError
from p5core.plugins.discovery import load_plugins
from p5core.system.files import sha256
from p5export.bundle.bundle import REQUIRED, seal
from p5export.bundle.document import ManifestDocument
from p5export.runtime import OnnxRecommender
from p5export.validation.verify import verify


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def reseal(folder: Path) -> None:
    """What somebody would do who changes a file and its hash."""
    manifest = json.loads((folder / "p5.json").read_text())
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"] if (folder / name).exists()}
    (folder / "p5.json").write_text(json.dumps({**manifest, "seal": seal(manifest)}))


CHANGES = {
    "hr@10": lambda manifest: manifest["metrics"]["model"].update({"ndcg@10": 0.95}),
    "tolerance": lambda manifest: manifest["tolerance"].update(relative=1e9),
    "id_kind": lambda manifest: manifest.update(id_kind="int64"),
    "n_items": lambda manifest: manifest.update(n_items=1),
    "files": lambda manifest: manifest.update(files={}),
    "a file left out": lambda manifest: manifest["files"].pop("README.md"),
    "run": lambda manifest: manifest.update(run="another"),
    "a key more": lambda manifest: manifest.update(extra=1),
    "a key less": lambda manifest: manifest.pop("parity"),
    "no files": lambda manifest: manifest.pop("files"),
    "files of another type": lambda manifest: manifest.update(files=["model.onnx"]),
    "no inputs": lambda manifest: manifest.pop("inputs"),
    "no seal": lambda manifest: manifest.pop("seal"),
    "an empty seal": lambda manifest: manifest.update(seal=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_p5_json_is_reported(change: str, histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    manifest = json.loads((folder / "p5.json").read_text())
    CHANGES[change](manifest)
    (folder / "p5.json").write_text(json.dumps(manifest))
    result = p5("verify", folder)
    assert result.exit_code == 1
    assert "p5.json was changed after the export" in result.output or "the file is damaged" in result.output
    with pytest.raises(ExportError, match=r"p5\.json (was changed|cannot be read)"):
        OnnxRecommender(folder)


@pytest.mark.parametrize("content", ["{}", '{"format": 1}', '{"format": 2}', "[]", "null", "[" * 100_000, "\0", ""])
def test_a_damaged_p5_json_is_a_sentence(content: str, histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "p5.json").write_text(content)
    result = p5("verify", folder)
    assert (result.exit_code, "the file is damaged" in result.output) == (1, True)


def test_a_new_order_of_keys_and_other_spaces_change_nothing(histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    manifest = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps(dict(reversed(manifest.items()))))
    assert verify(folder).is_sealed


def test_an_export_of_the_first_format_opens_and_says_what_cannot_be_checked(
    histories: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    manifest = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps({**manifest, "format": 1, "seal": None}))
    assert len(OnnxRecommender(folder).recommend([], 3)) == 3
    assert "Changes of p5.json itself cannot be noticed in an export of this age" in p5("verify", folder).output


@pytest.mark.parametrize("content", ["{}", "[]", '{"model.onnx": [{}], "score.onnx": []}', '{"model.onnx": 3}'])
def test_golden_cases_that_cannot_be_read_are_a_sentence(
    content: str, histories: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "golden.json").write_text(content)
    reseal(folder)
    with pytest.raises(ExportError, match=r"golden\.json cannot be read; the file is damaged"):
        verify(folder)


def test_the_document_and_the_table_of_the_runtime_agree(histories: tuple[Path, Path]) -> None:
    manifest = json.loads((histories[1] / "p5.json").read_text())
    assert ManifestDocument.model_validate(manifest).model_dump(mode="json", exclude_unset=True) == manifest
    for name, kind in REQUIRED.items():
        assert ManifestDocument.model_fields[name].is_required()
        for wrong in ([], 1.5, None):
            assert not isinstance(wrong, kind)
            with pytest.raises(ValidationError, match=name):
                ManifestDocument.model_validate({**manifest, name: wrong})
